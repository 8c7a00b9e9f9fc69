"""The nearest images by the angle between embeddings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beam_jobs.errors import InputError
from beam_jobs.images import check_image
from model.features import feature_files

_COLUMNS = 6
_PLOTS = (".png", ".pdf", ".svg")
_INCHES = 1.8


@dataclass(frozen=True)
class Neighbour:
    """One image found.

    Attributes:
        path: relative to the folder that was embedded.
        similarity: cosine, -1 to 1.
    """

    path: str
    similarity: float


def nearest(
    blocks: Iterable[np.ndarray], query: np.ndarray, count: int
) -> list[tuple[int, float]]:
    """Returns the rows of highest cosine similarity, the best first.

    Equal ones in the order of their rows; a row of zeros is like nothing: 0.
    One block is held at a time.

    Args:
        blocks: float [rows, filters] each; their rows are counted on.
        query: float [filters].
        count: how many, at most.

    Example:
        >>> rows = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, -3.0]])
        >>> [(i, round(c, 3)) for i, c in nearest([rows], np.array([1, 0]), 2)]
        [(0, 1.0), (1, 0.707)]
    """
    rows, cosines = np.zeros(0, np.int64), np.zeros(0, np.float32)
    before = 0
    for block in blocks:
        lengths = np.linalg.norm(block, axis=1) * np.linalg.norm(query)
        found = block @ query / np.maximum(lengths, 1e-12)
        cosines = np.concatenate([cosines, found])
        rows = np.concatenate([rows, before + np.arange(len(block))])
        # Stable: equal ones stay in the order of their rows.
        best = np.argsort(-cosines, kind="stable")[:count]
        rows, cosines = rows[best], cosines[best]
        before += len(block)
    return list(zip(rows.tolist(), cosines.tolist(), strict=True))


def similar(
    image: str | os.PathLike[str],
    features: str | os.PathLike[str],
    count: int = 10,
    folder: str | os.PathLike[str] | None = None,
) -> list[Neighbour]:
    """Returns the images of a file of features that are most like an image.

    Args:
        features: what `model.features.extract` wrote; the training that it
            names embeds the image.
        folder: that was embedded, where its images are to be shown.

    Raises:
        InputError: a file is missing or broken, another folder was embedded,
            or the training has gone on since.
    """
    if not Path(image).is_file():
        raise InputError(f"no such image: {image}")
    source = feature_files.read_source(features)
    if folder is not None:
        # One is enough to tell, before the long work.
        _check_folder(folder, feature_files.read_paths(features, [0]), features)
    from model.features.extract import embed, load_image
    from model.network.load_tagger import load_tagger, weights_fingerprint

    try:
        content = load_image(Path(image))
    except check_image.ImageError as error:
        raise InputError(f"{image}: {error.reason.value}: {error}") from error
    tagger = load_tagger(source.workdir)
    if weights_fingerprint(tagger) != source.weights:
        raise InputError(
            f"{features} comes from other weights than {source.workdir} has "
            "now; run `tagforest features` again"
        )
    query = embed(tagger, [content])[0]
    found = nearest(feature_files.read_embeddings(features), query, count)
    paths = feature_files.read_paths(features, [row for row, _ in found])
    neighbours = [
        Neighbour(path, cosine)
        for path, (_, cosine) in zip(paths, found, strict=True)
    ]
    if folder is not None:
        _check_folder(folder, [n.path for n in neighbours], features)
    return neighbours


def check_plot(path: str | os.PathLike[str]) -> None:
    """Raises InputError for a plot of no known kind, or without a folder."""
    if Path(path).suffix.lower() not in _PLOTS:
        raise InputError(f"--plot writes {', '.join(_PLOTS)}; received: {path}")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"no such folder for --plot: {Path(path).parent}")


def _check_folder(
    folder: str | os.PathLike[str],
    paths: list[str],
    features: str | os.PathLike[str],
) -> None:
    for path in paths:
        if not (Path(folder) / path).is_file():
            raise InputError(
                f"--images {folder} does not hold {path}: {features} was made "
                "from another folder, or that image has gone since"
            )


def draw(
    image: str | os.PathLike[str],
    neighbours: list[Neighbour],
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
) -> None:
    """Writes a plot of the image and its neighbours.

    Args:
        folder: that the neighbours' paths are relative to.
        out: PNG, PDF or SVG.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    tiles = [(Path(image), "asked for")]
    tiles += [
        (Path(folder) / n.path, f"{n.similarity:.3f} {Path(n.path).name}")
        for n in neighbours
    ]
    rows = -(-len(tiles) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _INCHES, rows * _INCHES * 1.15))
    for place, (path, title) in enumerate(tiles):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        with Image.open(path) as opened:
            axes.imshow(opened.convert("RGB"))
        axes.set_title(title[:24], fontsize=7)
        axes.axis("off")
    figure.tight_layout()
    figure.savefig(out, dpi=120)
