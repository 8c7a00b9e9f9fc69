"""Two workers on this machine against one that has all of its cores.

Whole trainings of the demo's network by the command line, on JPEGs of noise
with the drawn scenes' classes, in turns: same data, same global batch. What
counts are the images a second of the epochs after the first, in which
processes start, TensorFlow traces, and buffers fill.
"""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder
from beam_jobs.labels import ledger
from tests.helpers.records import Label, Record, to_example

from . import timing
from .benchmarks import BENCHMARKS, environment
from .classes import scene_classes

_RUNS = 2
_SHARDS = 4
_IMAGES, _IMAGES_SHORT, _HELD_OUT = 1280, 256, 64
_SIDE = 64
_LABELS_AN_IMAGE = 15
_EPOCHS, _EPOCHS_SHORT, _UNCOUNTED = 10, 2, 1
_SETTINGS = (
    "logging.metric_images=0",
    "logging.images=0",
    "logging.projector_images=0",
    "logging.histograms_every=0",
)


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Trains with one worker and with two: 1 2 2 1. A round is an epoch."""
    count = _IMAGES_SHORT if short else _IMAGES
    epochs = _EPOCHS_SHORT if short else _EPOCHS
    dataset = write_dataset(folder / "dataset", count)
    took: dict[str, list[timing.Took]] = {timing.BARE: [], timing.OURS: []}
    order = [(timing.BARE, 1), (timing.OURS, 2)]
    for number in range(1 if short else _RUNS):
        for arm, workers in order:
            workdir = folder / f"run-{number}-{workers}"
            rates = images_per_second(dataset, workdir, workers, epochs)
            # The history has no CPU time.
            took[arm] += [
                timing.Took(count, count / rate, math.nan) for rate in rates
            ]
        order.reverse()
    details = {"images an epoch": count, "epochs": len(took[timing.BARE])}
    return [
        timing.compare_rates(
            "two_workers", "images", took, details, timing.WALL
        )
    ]


def images_per_second(
    dataset: Path, workdir: Path, workers: int, epochs: int
) -> list[float]:
    """Trains once; returns the rates of the epochs that count."""
    command = [sys.executable, "-m", "tfx_pipeline.cli", "train"]
    command += [str(dataset), "--workdir", str(workdir), "--config", "demo"]
    command += ["--local-workers", str(workers)]
    for setting in (*_SETTINGS, f"schedule.epochs={epochs}"):
        command += ["--set", setting]
    done = subprocess.run(
        command, capture_output=True, text=True, env=_own_threads()
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr}")
    rows = json.loads((workdir / "history.json").read_text("utf-8"))
    return [row["images_per_second"] for row in rows[_UNCOUNTED:]]


def _own_threads() -> dict[str, str]:
    """Returns an environment where each worker has threads as users have."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in environment(BENCHMARKS["two_workers"], 1)
    }


def write_dataset(folder: Path, count: int) -> Path:
    """Writes images of noise with random labels."""
    vocabulary, hierarchy = scene_classes()
    folder.mkdir(parents=True)
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    rng = np.random.default_rng(0)
    sizes = {
        dataset_folder.TRAIN: count,
        dataset_folder.VALIDATION: _HELD_OUT,
    }
    for split, images in sizes.items():
        (folder / split).mkdir()
        for shard in range(_SHARDS):
            path = folder / dataset_folder.shard_path(split, shard, _SHARDS)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for index in range(shard, images, _SHARDS):
                    name = f"{split}/{index}"
                    writer.write(_example(rng, name, len(vocabulary)))
    return folder


def _example(rng: np.random.Generator, name: str, classes: int) -> bytes:
    """Returns a record with random classes."""
    pixels = rng.integers(0, 256, (_SIDE // 8, _SIDE // 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize((_SIDE, _SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    chosen = rng.choice(classes, _LABELS_AN_IMAGE, replace=False)
    source = ledger.Source.IMAGENET
    labels = [
        Label(int(c), 1.0, ledger.Rule.ANNOTATED, int(c), source)
        for c in sorted(chosen)
    ]
    return to_example(
        Record(name, content.getvalue(), _SIDE, _SIDE, labels, [])
    )
