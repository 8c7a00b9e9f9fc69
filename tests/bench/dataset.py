"""The data set job against its bare work in one script without Beam.

The script reads each image once, decodes it with Pillow, hashes it and writes
a record without labels: in one thread, and in one thread a core. Ours runs on
two sizes: the difference gives its images a second, and what is left is the
start-up of the pipeline.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

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
# Images of the small and of the large run.
_SCENES, _SCENES_SHORT = (150, 1500), (20, 40)
_COPIES, _COPIES_SHORT = (1, 8), (1, 2)
_ROUNDS = 3
_POOL = "bare, all cores"
_AHEAD = 256


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Builds drawn scenes and photographs both ways."""
    vocabulary = save_classes(folder / "classes")
    rounds = 1 if short else _ROUNDS
    scenes = {}
    for size in _SCENES_SHORT if short else _SCENES:
        raw = folder / f"scenes-{size}"
        write_scenes(
            raw,
            imagenet_images_per_class=0,
            open_images=size,
            broken_images=0,
            progress=False,
        )
        scenes[size] = raw / "open_images"
    found = _measure("128 px scenes", scenes, vocabulary, folder, rounds)
    if not _PHOTOGRAPHS.is_dir():
        print(f"{_PHOTOGRAPHS} is absent", file=sys.stderr)
        return found
    photographs = {}
    for copies in _COPIES_SHORT if short else _COPIES:
        raw = folder / f"photographs-{copies}"
        photographs[copy_photographs(raw, copies)] = raw
    return found + _measure("photographs", photographs, None, folder, rounds)


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
    originals = sorted((_PHOTOGRAPHS / "images").iterdir())
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


def _measure(
    name: str,
    raws: dict[int, Path],
    vocabulary: Path | None,
    folder: Path,
    rounds: int,
) -> list[timing.Comparison]:
    small, large = sorted(raws)
    script = partial(_bare, raws[large], folder / "bare.tfrecord")
    arms: dict[Any, timing.Arm] = {
        timing.BARE: timing.timed(partial(script, 1), large),
        _POOL: timing.timed(partial(script, machine.cores()), large),
    }
    for size, raw in raws.items():
        build = partial(_ours, raw, folder / "dataset", vocabulary)
        arms[size] = timing.timed(build, size)
    took = timing.interleave(arms, rounds)
    between = [
        many - few for few, many in zip(took[small], took[large], strict=True)
    ]
    # A round is two builds.
    start = [
        few.cpu / 2 - small * more.cpu / more.count
        for few, more in zip(took[small], between, strict=True)
    ]
    files = list((raws[large] / "images").iterdir())
    details = {
        "images": large,
        "KB an image": sum(f.stat().st_size for f in files) / large / 1e3,
        "start-up ours (core-s)": timing.difference(start),
    }
    on_clock = {timing.BARE: took[_POOL], timing.OURS: between}
    return [
        timing.compare_rates(
            f"dataset, {name}",
            "images",
            {timing.BARE: took[timing.BARE], timing.OURS: between},
            details,
        ),
        timing.compare_rates(
            f"dataset, {name}, all cores", "images", on_clock, by=timing.WALL
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
