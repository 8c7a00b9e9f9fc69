"""The data set job against its bare work in one script without Beam.

The script reads each image once, decodes it with Pillow, hashes it and writes
a record without labels: in one thread, and in one thread a core. Each arm runs
on two sizes: the difference gives the images a second, and what is left is
the start-up of the pipeline.
"""

from __future__ import annotations

import hashlib
import io
import os
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from beam_jobs.cli_options import build_options
from beam_jobs.dataset.records import Record, to_example
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.scenes.write_scenes import write_scenes

from . import timing
from .classes import save_classes

_PHOTOGRAPHS = Path(__file__).parents[3] / "shared/data/open_images"
_LABELS = "train-annotations-human-imagelabels.csv"
_CLASSES = "class-descriptions.csv"
# Pictures of the small and of the large run.
_SCENES = (150, 1500)
_COPIES = (3, 15)
_ROUNDS = 3
_POOL = "bare, all cores"
_ARMS = (timing.BARE, _POOL, timing.OURS)
_AHEAD = 256


def run(folder: Path) -> list[timing.Comparison]:
    """Builds drawn scenes and photographs both ways."""
    vocabulary = save_classes(folder / "classes")
    found = []
    scenes = {}
    for size in _SCENES:
        raw = folder / f"scenes-{size}"
        write_scenes(
            raw,
            imagenet_images_per_class=0,
            open_images=size,
            broken_images=0,
            progress=False,
        )
        scenes[size] = raw / "open_images"
    found += _measure("128 px scenes", scenes, vocabulary, folder)
    if not _PHOTOGRAPHS.is_dir():
        print(f"{_PHOTOGRAPHS} is absent", file=sys.stderr)
        return found
    photographs = {}
    for copies in _COPIES:
        raw = folder / f"photographs-{copies}"
        photographs[copy_photographs(raw, copies)] = raw
    return found + _measure("photographs", photographs, None, folder)


def copy_photographs(folder: Path, copies: int) -> int:
    """Makes an Open Images folder of photographs with bytes of their own.

    Returns:
        How many there are.
    """
    (folder / "images").mkdir(parents=True)
    names = (_PHOTOGRAPHS / _CLASSES).read_text()
    (folder / _CLASSES).write_text(names)
    header, *rows = (_PHOTOGRAPHS / _LABELS).read_text().splitlines()
    labels = [header]
    pictures = sorted((_PHOTOGRAPHS / "images").iterdir())
    for copy in range(copies):
        for path in pictures:
            data = path.read_bytes()
            # A comment segment right after the marker of the start.
            comment = b"\xff\xfe\x00\x06" + copy.to_bytes(4, "big")
            name = f"{copy:03d}-{path.name}"
            (folder / "images" / name).write_bytes(
                data[:2] + comment + data[2:]
            )
        labels += [f"{copy:03d}-{row}" for row in rows]
    (folder / _LABELS).write_text("\n".join(labels) + "\n")
    return copies * len(pictures)


def _measure(
    name: str, raws: dict[int, Path], vocabulary: Path | None, folder: Path
) -> list[timing.Comparison]:
    arms = {}
    for size, raw in raws.items():
        bare = partial(_bare, raw, folder / "bare.tfrecord")
        arms[timing.BARE, size] = timing.timed(partial(bare, 1))
        arms[_POOL, size] = timing.timed(partial(bare, os.cpu_count() or 1))
        arms[timing.OURS, size] = timing.timed(
            partial(_ours, raw, folder / "dataset", vocabulary)
        )
    seconds = timing.interleave(arms, _ROUNDS)
    small, large = sorted(raws)
    rates, start_up = {}, {}
    for arm in _ARMS:
        pairs = list(zip(seconds[arm, small], seconds[arm, large], strict=True))
        rates[arm] = [(large - small) / (b - a) for a, b in pairs]
        # From the medians, for the shortest runs vary most.
        few, many = (statistics.median(t) for t in zip(*pairs, strict=True))
        start_up[arm] = few - small * (many - few) / (large - small)
    files = list((raws[large] / "images").iterdir())
    details = {
        "images": large,
        "KB an image": sum(f.stat().st_size for f in files) / large / 1e3,
        "start-up ours (s)": start_up[timing.OURS],
    }
    against_pool = {timing.BARE: rates[_POOL], timing.OURS: rates[timing.OURS]}
    return [
        timing.compare_rates(
            f"dataset, {name}, one thread", "images/s", rates, details
        ),
        timing.compare_rates(
            f"dataset, {name}, all cores", "images/s", against_pool
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
