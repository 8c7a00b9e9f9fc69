"""Embeddings of a folder of images, from the last pooling layer.

Images go through the checks of the data set job and the preprocessing of
evaluation and serving. What cannot be read becomes a line of
`<out>.rejected.jsonl`: images in = features out + rejected.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.read_ahead import ReadAhead
from beam_jobs.images import check_image
from beam_jobs.images.image_names import SUFFIXES
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason, Rejection, save_rejections
from model.features import feature_files
from model.inputs import preprocessing
from model.network.load_tagger import load_tagger, weights_fingerprint
from model.network.options import BatchOptions
from model.network.tagger import Tagger

# Images that wait in memory for the network.
_AHEAD = 256


@dataclass(frozen=True)
class Extracted:
    """What an extraction gave.

    Attributes:
        images: files with an embedding.
        rejected: files without, by reason.
        width: of an embedding.
    """

    images: int
    rejected: dict[str, int]
    width: int


def extract(
    workdir: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: BatchOptions | None = None,
) -> Extracted:
    """Writes the embedding of every image below a folder.

    Args:
        folder: searched with all its subfolders; order by path.
        out: `.npz` or `.parquet`, see `model.features.feature_files`.
        options: how many at once, and whether a bar is shown.

    Raises:
        InputError: another ending, no such folder, no image in it, or
            nothing trained; all before the first image is read.
    """
    options = options or BatchOptions()
    feature_files.check_path(out)
    paths = image_files(folder)
    tagger = load_tagger(workdir)
    source = feature_files.Source(
        workdir=os.path.abspath(workdir), weights=weights_fingerprint(tagger)
    )
    rejections: list[Rejection] = []
    loaded = _load_all(paths, Path(folder), rejections)
    bar = tqdm(
        loaded,
        "features",
        len(paths),
        unit=" images",
        disable=None if options.progress else True,
    )
    batches = _embed_all(tagger, bar, Path(folder), options.batch_size)
    written = feature_files.write(out, batches, source)
    save_rejections(f"{os.fspath(out)}.rejected.jsonl", rejections)
    counts = Counter(rejection.reason.value for rejection in rejections)
    width = int(tagger.head.kernel.shape[0])
    return Extracted(written, dict(counts), width)


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Returns the files with the ending of an image, sorted by path.

    Raises:
        InputError: no such folder, or no image in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"no such folder of images: {root}")
    listed = storage.list_files(storage.join(storage.escape(root), "**"))
    found = sorted(Path(p) for p, _ in listed if p.lower().endswith(SUFFIXES))
    if not found:
        raise InputError(
            f"{root} holds no image; endings looked for: {', '.join(SUFFIXES)}"
        )
    return found


def embed(tagger: Tagger, encoded: Iterable[bytes]) -> np.ndarray:
    """Returns float32 [images, filters] of checked image files."""
    data = tagger.config.data
    pixels = [
        preprocessing.decode_and_resize(
            tf.constant(content), data.image_size, data.crop_fraction
        )
        for content in encoded
    ]
    return _embed_batch(tagger, tf.stack(pixels)).numpy()


def load_image(path: Path) -> bytes:
    """Returns the bytes of a sound image, converted where need be.

    Raises:
        ImageError: rejected, with the reason.
    """
    limits = ImageLimits()
    try:
        size = path.stat().st_size
        if size > limits.max_bytes:
            raise check_image.ImageError(
                Reason.TOO_MANY_BYTES,
                f"{size} bytes, allowed: {limits.max_bytes}",
            )
        content = path.read_bytes()
    except OSError as error:
        raise check_image.ImageError(
            Reason.UNREADABLE_FILE, str(error.strerror)
        ) from error
    return check_image.check_and_convert(content, limits).converted or content


def _load_all(
    paths: list[Path],
    folder: Path,
    rejections: list[Rejection],
) -> Iterator[tuple[Path, bytes | None]]:
    """Yields every path, with None for the bytes of a rejected one."""

    def load(path: Path) -> tuple[bytes | None, Rejection | None]:
        try:
            _check_name(path.relative_to(folder))
            return load_image(path), None
        except check_image.ImageError as error:
            item, whole = _readable(path.name), _readable(path)
            return None, Rejection(error.reason, item, str(error), whole)

    threads = os.cpu_count() or 1
    loaded = ReadAhead(load, paths, threads=threads, ahead=_AHEAD)
    # In the order of the paths, whichever thread is done first.
    for path, (content, rejection) in zip(paths, loaded, strict=True):
        if rejection is not None:
            rejections.append(rejection)
        yield path, content


def _check_name(path: Path) -> None:
    """Raises ImageError for a name that no file of features can hold."""
    if _readable(path) != os.fspath(path):
        raise check_image.ImageError(
            Reason.UNREADABLE_FILE, "the name is no UTF-8; rename the file"
        )


def _readable(path: str | os.PathLike[str]) -> str:
    r"""Returns a path with `\xff` for a byte that is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _embed_all(
    tagger: Tagger,
    loaded: Iterable[tuple[Path, bytes | None]],
    folder: Path,
    batch_size: int,
) -> Iterator[tuple[list[str], np.ndarray]]:
    names: list[str] = []
    contents: list[bytes] = []
    for path, content in loaded:
        if content is None:
            continue
        names.append(path.relative_to(folder).as_posix())
        contents.append(content)
        if len(names) == batch_size:
            yield names, embed(tagger, contents)
            names, contents = [], []
    if names:
        yield names, embed(tagger, contents)


@tf.function(reduce_retracing=True)
def _embed_batch(tagger: Tagger, pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tagger.embed(pixels, training=False), tf.float32)
