"""The data set job against its bare work in one script without Beam.

The script reads each image once, decodes it with Pillow, hashes it and writes
a record without labels: in one thread, and in one thread a core. What a few
images take, nearly all of it the start of the pipeline, is taken off ours.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.scenes.write_scenes import write_scenes
from tests.helpers.records import Record, to_example
from tests.helpers.shared_data import FOLDER

from . import machine, timing
from .classes import save_classes

_PHOTOGRAPHS = FOLDER / "open_images"
_LABELS = "train-annotations-human-imagelabels.csv"
_CLASSES = "class-descriptions.csv"
_SCENES, _SCENES_SHORT = 300, 20
# Of scenes and photographs, each copy with bytes of its own.
_COPIES, _COPIES_SHORT = (20, 6), (2, 2)
_FEW = 16
_ROUNDS, _STARTS = 9, 6
_POOL = "bare, all cores"
_AHEAD = 256


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Builds drawn scenes and photographs both ways."""
    vocabulary = save_classes(folder / "classes")
    scenes, photographs = _COPIES_SHORT if short else _COPIES
    write_scenes(
        folder / "drawn",
        imagenet_images_per_class=0,
        open_images=_SCENES_SHORT if short else _SCENES,
        broken_images=0,
        progress=False,
    )
    drawn = folder / "drawn/open_images"
    work = _Work("128 px scenes", drawn, scenes, vocabulary, folder / "scenes")
    found = _measure(work, short)
    if not _PHOTOGRAPHS.is_dir():
        print(f"{_PHOTOGRAPHS} is absent", file=sys.stderr)
        return found
    work = _Work(
        "photographs", _PHOTOGRAPHS, photographs, None, folder / "photographs"
    )
    return found + _measure(work, short)


@dataclass(frozen=True)
class _Work:
    """Some images, to be copied and read in both ways."""

    name: str
    source: Path
    copies: int
    vocabulary: Path | None
    folder: Path


def copy_images(
    source: Path, folder: Path, copies: int, most: int | None = None
) -> int:
    """Makes an Open Images folder of images with bytes of their own.

    Args:
        most: of the source's images.

    Returns:
        How many there are.
    """
    (folder / "images").mkdir(parents=True)
    names = (source / _CLASSES).read_text()
    (folder / _CLASSES).write_text(names)
    header, *rows = (source / _LABELS).read_text().splitlines()
    labels = [header]
    originals = sorted((source / "images").iterdir())[:most]
    chosen = {path.stem for path in originals}
    rows = [row for row in rows if row.split(",")[0] in chosen]
    for copy in range(copies):
        for path in originals:
            data = path.read_bytes()
            # A comment segment right after the marker of the start.
            comment = b"\xff\xfe\x00\x06" + copy.to_bytes(4, "big")
            name = f"{copy:03d}-{path.name}"
            (folder / "images" / name).write_bytes(
                data[:2] + comment + data[2:]
            )
        labels += [f"{copy:03d}-{row}" for row in rows]
    (folder / _LABELS).write_text("\n".join(labels) + "\n")
    return copies * len(originals)


def _measure(work: _Work, short: bool) -> list[timing.Comparison]:
    few, many = work.folder / "few", work.folder / "many"
    count = copy_images(work.source, many, work.copies)
    least = copy_images(work.source, few, 1, _FEW)
    script = partial(_bare, many, work.folder / "bare.tfrecord")
    build = partial(
        _ours, out=work.folder / "dataset", vocabulary=work.vocabulary
    )
    start = timing.timed(lambda: build(few), least)
    start()
    starts = [start() for _ in range(1 if short else _STARTS)]
    arms = {
        timing.BARE: timing.timed(partial(script, 1), count),
        _POOL: timing.timed(partial(script, machine.cores()), count),
        timing.OURS: timing.timed(lambda: build(many), count),
    }
    took = timing.interleave(arms, 1 if short else _ROUNDS)
    between, typical = timing.without_start(starts, took[timing.OURS])
    files = list((many / "images").iterdir())
    details = {
        "images": count,
        "KB an image": sum(f.stat().st_size for f in files) / count / 1e3,
        "start-up ours (core-s)": typical.cpu / 2,
    }
    on_clock = {timing.BARE: took[_POOL], timing.OURS: between}
    return [
        timing.compare_rates(
            f"dataset, {work.name}",
            "images",
            {timing.BARE: took[timing.BARE], timing.OURS: between},
            details,
        ),
        timing.compare_rates(
            f"dataset, {work.name}, all cores",
            "images",
            on_clock,
            by=timing.WALL,
        ),
    ]


def _ours(raw: Path, out: Path, vocabulary: Path | None) -> None:
    given = {
        "open_images": [str(raw)],
        "vocabulary": str(vocabulary) if vocabulary else None,
        "min_images_open_images": 1,
        "overwrite": True,
    }
    (out / "manifest.json").unlink(missing_ok=True)
    manifest = build_dataset(
        build_options(DatasetOptions, {**given, "out": str(out)}),
        show_progress=False,
    )
    if manifest.images["rejected"] > manifest.images["in"] // 50:
        raise RuntimeError(f"too many images rejected: {manifest.images}")


def _bare(raw: Path, target: Path, threads: int) -> None:
    import tensorflow as tf

    paths = sorted((raw / "images").iterdir())
    with (
        tf.io.TFRecordWriter(str(target)) as writer,
        ThreadPoolExecutor(threads) as pool,
    ):
        for record in _records(paths, pool if threads > 1 else None):
            writer.write(record)


def _records(
    paths: list[Path], pool: ThreadPoolExecutor | None
) -> Iterator[bytes]:
    if pool is None:
        yield from map(_record, paths)
        return
    for start in range(0, len(paths), _AHEAD):
        yield from pool.map(_record, paths[start : start + _AHEAD])


def _record(path: Path) -> bytes:
    data = path.read_bytes()
    name = hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        width, height = image.size
    return to_example(Record(name, data, height, width))
