"""The training input against a straight port of the released pipeline.

Work of the host at 224 pixels, labels included, as images per second of a
core; on the clock, given beside it, both use all cores. Ours leaves
uint8 images, which the network scales, and int8 targets; the port float32 of
both. `resized` has a short side of 256 pixels (quality 87), as smaller
records come from `tagforest dataset --short-side 256`; it is compared with
the port on original files too. `labels` are the targets alone.

The photographs are those of ../shared/data, sorted by size and cut where
they have 110 KB on average; where they are absent, drawn ones.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.labels import ledger
from model.config import DataConfig
from model.inputs import input_pipeline, targets
from tests.helpers.records import Label, Record, to_example
from tests.helpers.shared_data import FOLDER

from . import released_pipeline, timing

_PHOTOGRAPHS = FOLDER / "open_images/images"
_CLASSES = 11_166
_LABELS_AN_IMAGE = 10
_MEAN_BYTES = 110_000
_IMAGES, _BATCH = 1024, 64
_ROWS, _ROW_BATCH, _ROW_PASSES = 4096, 256, 2
_ROUNDS = 9
_SHORT_ROUNDS, _SHORT_IMAGES = 1, 128
_CONFIG = DataConfig()


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Times all arms in turns."""
    rounds = _SHORT_ROUNDS if short else _ROUNDS
    count = _SHORT_IMAGES if short else _IMAGES
    return [*images(folder, count, rounds), *labels(folder, rounds)]


def images(folder: Path, count: int, rounds: int) -> list[timing.Comparison]:
    """Compares whole pipelines."""
    originals = photographs()
    small = [resized(image) for image in originals]
    dense = _dense_labels(count)
    arms = {}
    for name, files in {"original": originals, "resized": small}.items():
        files = [files[i % len(files)] for i in range(count)]
        port, ours = folder / f"{name}.tfrecord", folder / name
        released_pipeline.write(port, files, dense)
        write_dataset(ours, files, dense)
        sets = {
            "port": released_pipeline.read(port, _CLASSES, 224, _BATCH),
            "ours": input_pipeline.make_train_dataset(
                ours, _CONFIG, classes=_CLASSES, batch_size=_BATCH, epochs=1
            ),
        }
        for arm, batches in sets.items():
            arms[f"{arm} {name}"] = timed_pass(batches, count)
    took = timing.interleave(arms, rounds)
    pairs = [
        ("original", "port original", "ours original"),
        ("resized", "port original", "ours resized"),
        ("both resized", "port resized", "ours resized"),
    ]
    found = [
        _compare(f"input_pipeline: {name}", "images", took, *arms)
        for name, *arms in pairs
    ]
    found[0].details["KB an original"] = _kilobytes(originals)
    found[1].details["KB a resized one"] = _kilobytes(small)
    return found


def _kilobytes(files: Sequence[bytes]) -> float:
    return statistics.mean(map(len, files)) / 1000


def labels(folder: Path, rounds: int) -> list[timing.Comparison]:
    """Compares the targets alone: records without images."""
    dense = _dense_labels(_ROWS)
    nothing = [b""] * _ROWS
    released_pipeline.write(folder / "labels.tfrecord", nothing, dense)
    write_dataset(folder / "labels", nothing, dense)
    shards = dataset_folder.shard_paths(folder / "labels", dataset_folder.TRAIN)
    spec = targets.label_spec(_CONFIG)

    def rows():
        return tf.data.TFRecordDataset(shards).batch(_ROW_BATCH)

    def parsed(dtype):
        def parse(block):
            features = tf.io.parse_example(block, spec)
            return targets.dense_targets(
                features, _CLASSES, _CONFIG, dtype=dtype
            )

        return rows().map(parse)

    port = released_pipeline.read_labels(
        folder / "labels.tfrecord", _CLASSES, _ROW_BATCH
    )
    sets = {
        "port": port,
        "int8": parsed(tf.int8),
        "float32": parsed(tf.float32),
    }
    arms = {
        name: timed_pass(batches.repeat(_ROW_PASSES), _ROWS * _ROW_PASSES)
        for name, batches in sets.items()
    }
    took = timing.interleave(arms, rounds)
    return [
        _compare(f"label_targets: {name}", "rows", took, "port", name)
        for name in ("float32", "int8")
    ]


def photographs() -> list[bytes]:
    """Returns JPEG files of about 110 KB on average."""
    if not _PHOTOGRAPHS.is_dir():
        return [drawn(i) for i in range(64)]
    files = [path.read_bytes() for path in sorted(_PHOTOGRAPHS.glob("*.jpg"))]
    files.sort(key=len)
    while statistics.mean(map(len, files)) > _MEAN_BYTES:
        files.pop()
    return files


def resized(image: bytes) -> bytes:
    """Returns a JPEG of quality 87 whose short side has 256 pixels."""
    pixels = Image.open(io.BytesIO(image)).convert("RGB")
    ratio = 256 / min(pixels.size)
    width, height = (round(side * ratio) for side in pixels.size)
    return _jpeg(pixels.resize((width, height), Image.Resampling.BICUBIC), 87)


def write_dataset(
    folder: Path,
    images: Sequence[bytes],
    dense: np.ndarray,
    regions: Sequence[tf.train.Example] | None = None,
) -> None:
    """Writes a data set of one shard.

    Args:
        regions: what records have besides, or instead of their size of 1 x 1.
    """
    (folder / dataset_folder.TRAIN).mkdir(parents=True)
    (folder / dataset_folder.MANIFEST).write_text("{}", encoding="utf-8")
    vocabulary = Vocabulary(
        [TagClass(i, f"n{i:08}", f"class {i}") for i in range(dense.shape[1])]
    )
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy = Hierarchy([() for _ in vocabulary])
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    path = folder / dataset_folder.shard_path(dataset_folder.TRAIN, 0, 1)
    rule, source = ledger.Rule.ANCESTOR, ledger.Source.IMAGENET
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i, (image, row) in enumerate(zip(images, dense, strict=True)):
            found = [
                Label(int(c), 1.0, rule, int(c), source)
                for c in np.flatnonzero(row)
            ]
            record = Record(f"imagenet/{i}", image, 1, 1, found)
            example = tf.train.Example.FromString(to_example(record))
            if regions is not None:
                example.MergeFrom(regions[i])
            writer.write(example.SerializeToString())


def _dense_labels(rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    dense = np.zeros((rows, _CLASSES), np.float32)
    for row in dense:
        row[rng.choice(_CLASSES, _LABELS_AN_IMAGE, replace=False)] = 1.0
    return dense


def timed_pass(batches: tf.data.Dataset, count: int) -> timing.Arm:
    """Returns a pass over the batches, which hold `count` images."""

    def one_pass() -> None:
        for _ in batches:
            pass

    return timing.timed(one_pass, count)


def _compare(
    name: str,
    thing: str,
    took: Mapping[str, list[timing.Took]],
    bare: str,
    ours: str,
) -> timing.Comparison:
    pair = {timing.BARE: took[bare], timing.OURS: took[ours]}
    details = {
        f"port on the clock ({thing}/s)": timing.rate(took[bare], timing.WALL),
        f"ours on the clock ({thing}/s)": timing.rate(took[ours], timing.WALL),
        "ratio on the clock": timing.ratio(took[ours], took[bare], timing.WALL),
    }
    return timing.compare_rates(name, thing, pair, details)


def drawn(seed: int) -> bytes:
    """Returns a JPEG of coarse shapes and fine grain, 500 x 375 pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    shapes = Image.fromarray(coarse).resize((500, 375))
    grain = rng.normal(0, 20, (375, 500, 1))
    pixels = np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)
    return _jpeg(Image.fromarray(pixels), 90)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()
