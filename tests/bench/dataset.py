"""The data set job against its bare work in one loop without Beam.

The loop reads each image once, hashes it, decodes it with Pillow and writes
a record without labels. Each arm runs on two sizes: the difference gives the
images a second, and what is left is the start-up of the pipeline.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from beam_jobs.build_dataset import DatasetOptions, build_dataset
from beam_jobs.records import Record, to_example
from beam_jobs.scenes.catalogue import load_catalogue
from beam_jobs.scenes.write_scenes import write_scenes

from . import timing
from .classes import save_classes

# Images of a class and scenes: about 1,500 images in all.
_SIZES = {"small": (1, 150), "large": (8, 750)}
_ROUNDS = 5


def run(folder: Path) -> list[timing.Comparison]:
    """Draws two data sets, then builds each both ways."""
    vocabulary = save_classes(folder / "classes")
    images = {}
    for size, (per_class, scenes) in _SIZES.items():
        write_scenes(
            folder / size,
            imagenet_images_per_class=per_class,
            open_images=scenes,
            broken_images=0,
            progress=False,
        )
        images[size] = per_class * len(load_catalogue()) + scenes
    arms = {}
    for size in _SIZES:
        raw = folder / size
        bare = partial(_bare, raw, folder)
        ours = partial(_ours, raw, folder, vocabulary, images[size])
        arms[timing.BARE, size] = timing.timed(bare)
        arms[timing.OURS, size] = timing.timed(ours)
    return [_compare(timing.interleave(arms, _ROUNDS), images)]


def _compare(seconds, images: dict[str, int]) -> timing.Comparison:
    more = images["large"] - images["small"]
    rates, start_up = {}, {}
    for arm in (timing.BARE, timing.OURS):
        pairs = list(
            zip(seconds[arm, "small"], seconds[arm, "large"], strict=True)
        )
        rates[arm] = [more / (large - small) for small, large in pairs]
        # From the medians, for the shortest runs vary most.
        small, large = (statistics.median(t) for t in zip(*pairs, strict=True))
        each = (large - small) / more
        start_up[arm] = small - images["small"] * each
    details = {
        "images": images["large"],
        "start-up bare (s)": start_up[timing.BARE],
        "start-up ours (s)": start_up[timing.OURS],
    }
    return timing.compare_rates("dataset", "images/s", rates, details)


def _ours(raw: Path, folder: Path, vocabulary: Path, images: int) -> None:
    options = DatasetOptions(
        out=str(folder / f"dataset-{raw.name}"),
        imagenet=(str(raw / "imagenet"),),
        open_images=(str(raw / "open_images"),),
        vocabulary=str(vocabulary),
        overwrite=True,
    )
    (Path(options.out) / "manifest.json").unlink(missing_ok=True)
    manifest = build_dataset(options, show_progress=False)
    if manifest.images["out"] != images:
        raise RuntimeError(f"{images} images expected: {manifest.images}")


def _bare(raw: Path, folder: Path) -> None:
    import tensorflow as tf

    path = folder / f"bare-{raw.name}.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in _files(raw):
            name = hashlib.sha256(data).hexdigest()
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                width, height = image.size
            writer.write(to_example(Record(name, data, height, width)))


def _files(raw: Path) -> Iterator[bytes]:
    for path in sorted((raw / "imagenet").rglob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    yield file.read()
    for path in sorted((raw / "open_images" / "images").iterdir()):
        yield path.read_bytes()
