"""Embeddings of a folder of images, from the last pooling layer.

Images go through the checks of the data set job and the preprocessing of
evaluation and serving. What cannot be read becomes a line of
`<out>.rejected.jsonl`: images in = features out + rejected.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
from model.checkpoint_files import weights_file
from model.features import feature_files
from model.inputs import preprocessing
from model.network import devices
from model.network.load_tagger import load_tagger, weights_fingerprint
from model.network.options import BatchOptions
from model.network.tagger import Tagger
from model.workers.share import share
from model.workers.team import Arrays, Team

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
        options: how many at once, whether a bar is shown, and who shares the
            work: the chief writes what one worker would.

    Raises:
        InputError: another ending, no such folder, no image in it, or
            nothing trained; all before the first image is read.
        PartDoneError: this is not the chief of several workers.
    """
    options = options or BatchOptions()
    feature_files.check_path(out)
    paths = image_files(folder)
    return share(
        _extract,
        (workdir, Path(folder), paths, out, options),
        options,
        lambda: _plan(Path(workdir), Path(folder), paths, options),
    )


def _plan(
    workdir: Path, folder: Path, paths: list[Path], options: BatchOptions
) -> dict[str, str]:
    """Returns digests of what all workers must have alike."""
    names = "\0".join(_readable(path.relative_to(folder)) for path in paths)
    return {
        "weights": storage.sha256(weights_file(workdir))[:16],
        "images": hashlib.sha256(names.encode()).hexdigest()[:16],
        "batch size": str(options.batch_size),
    }


def _extract(
    team: Team,
    workdir: str | os.PathLike[str],
    folder: Path,
    paths: list[Path],
    out: str | os.PathLike[str],
    options: BatchOptions,
) -> Extracted:
    devices.take_own(team)
    tagger = load_tagger(workdir)
    source = feature_files.Source(
        workdir=os.path.abspath(workdir), weights=weights_fingerprint(tagger)
    )
    size = options.batch_size
    batches = [paths[i : i + size] for i in range(0, len(paths), size)]

    def make(numbers: range) -> Iterator[Arrays]:
        return _embed_all(tagger, [batches[i] for i in numbers], folder)

    bar = tqdm(
        team.in_turn(make, len(batches)),
        "features",
        len(batches),
        unit=" batches",
        disable=None if options.progress and team.is_chief else True,
    )
    rejections: list[Rejection] = []
    written = feature_files.write(out, _split_off(bar, rejections), source)
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
    paths: Sequence[Path], folder: Path
) -> Iterator[tuple[bytes | None, Rejection | None]]:
    """Yields the bytes of every image, or why it is rejected."""

    def load(path: Path) -> tuple[bytes | None, Rejection | None]:
        try:
            _check_name(path.relative_to(folder))
            return load_image(path), None
        except check_image.ImageError as error:
            item, whole = _readable(path.name), _readable(path)
            return None, Rejection(error.reason, item, str(error), whole)

    threads = os.cpu_count() or 1
    # In the order of the paths, whichever thread is done first.
    yield from ReadAhead(load, paths, threads=threads, ahead=_AHEAD)


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
    tagger: Tagger, batches: list[list[Path]], folder: Path
) -> Iterator[Arrays]:
    """Yields what is known of each batch, for `_split_off`."""
    loaded = _load_all([path for paths in batches for path in paths], folder)
    width = int(tagger.head.kernel.shape[0])
    for paths in batches:
        # A batch keeps its other images: so they are those of any worker.
        found = list(zip(paths, islice(loaded, len(paths)), strict=True))
        names = [
            path.relative_to(folder).as_posix()
            for path, (content, _) in found
            if content is not None
        ]
        contents = [c for _, (c, _) in found if c is not None]
        rejections = [r for _, (_, r) in found if r is not None]
        yield {
            "path": np.array(names, np.str_),
            "embedding": embed(tagger, contents)
            if contents
            else np.zeros((0, width), np.float32),
            "rejection": np.array(
                [
                    (r.reason.value, r.item, r.detail, r.path)
                    for r in rejections
                ],
                np.str_,
            ),
        }


def _split_off(
    batches: Iterable[Arrays], rejections: list[Rejection]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields paths and embeddings; adds to the rejections."""
    for batch in batches:
        for reason, *others in batch["rejection"].tolist():
            rejections.append(Rejection(Reason(reason), *others))
        if len(batch["path"]):
            yield batch["path"].tolist(), batch["embedding"]


@tf.function(reduce_retracing=True)
def _embed_batch(tagger: Tagger, pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tagger.embed(pixels, training=False), tf.float32)
