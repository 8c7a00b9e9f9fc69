"""Two workers on this machine against one that has all of its cores.

Whole trainings of the demo's network by the command line, on JPEGs of noise
with the drawn scenes' classes, in turns: same data, same global batch. What
counts are the images a second of the epochs after the first, in which
processes start, TensorFlow traces, and buffers fill.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.labels import ledger

from . import timing
from .classes import scene_classes

_ROUNDS = 3
_SHARDS = 4
_IMAGES, _HELD_OUT = 5120, 64
_SIDE = 64
_LABELS_AN_IMAGE = 15
_EPOCHS, _UNCOUNTED = 3, 1
_SETTINGS = (
    f"schedule.epochs={_EPOCHS}",
    "logging.metric_images=0",
    "logging.images=0",
    "logging.projector_images=0",
    "logging.histograms_every=0",
)


def run(folder: Path) -> list[timing.Comparison]:
    """Trains with one worker and with two, several times."""
    dataset = write_dataset(folder / "dataset")
    rates: dict[str, list[float]] = {timing.BARE: [], timing.OURS: []}
    for number in range(_ROUNDS):
        for arm, workers in ((timing.BARE, 1), (timing.OURS, 2)):
            workdir = folder / f"run-{number}-{workers}"
            rates[arm].append(images_per_second(dataset, workdir, workers))
    details = {"images": _IMAGES, "epochs counted": _EPOCHS - _UNCOUNTED}
    return [timing.compare_rates("two_workers", "images/s", rates, details)]


def images_per_second(dataset: Path, workdir: Path, workers: int) -> float:
    """Trains once; returns the median rate of the epochs that count."""
    command = [sys.executable, "-m", "tfx_pipeline.cli", "train"]
    command += [str(dataset), "--workdir", str(workdir), "--config", "demo"]
    command += ["--local-workers", str(workers)]
    for setting in _SETTINGS:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr}")
    rows = json.loads((workdir / "history.json").read_text("utf-8"))
    counted = rows[_UNCOUNTED:]
    return statistics.median(row["images_per_second"] for row in counted)


def write_dataset(folder: Path) -> Path:
    """Writes images of noise with random labels."""
    vocabulary, hierarchy = scene_classes()
    folder.mkdir(parents=True)
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    rng = np.random.default_rng(0)
    sizes = {
        dataset_folder.TRAIN: _IMAGES,
        dataset_folder.VALIDATION: _HELD_OUT,
    }
    for split, count in sizes.items():
        (folder / split).mkdir()
        for shard in range(_SHARDS):
            path = folder / dataset_folder.shard_path(split, shard, _SHARDS)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for index in range(shard, count, _SHARDS):
                    name = f"{split}/{index}"
                    writer.write(_example(rng, name, len(vocabulary)))
    return folder


def _example(rng: np.random.Generator, name: str, classes: int) -> bytes:
    """Returns a record with random classes."""
    pixels = rng.integers(0, 256, (_SIDE // 8, _SIDE // 8, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=90)
    chosen = rng.choice(classes, _LABELS_AN_IMAGE, replace=False)
    source = ledger.Source.IMAGENET
    labels = [
        records.Label(int(c), 1.0, ledger.Rule.ANNOTATED, int(c), source)
        for c in sorted(chosen)
    ]
    return records.to_example(
        records.Record(name, content.getvalue(), _SIDE, _SIDE, labels, [])
    )
