"""A tagger that has learned coloured squares, and a data set with mistakes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.labels.ledger import Rule, Source
from model.training.train import train
from tests.helpers.configs import QUIET, tiny_config
from tests.helpers.datasets import write_classes, write_shards
from tests.helpers.images import encode
from tests.helpers.records import Label, Record

ROOT, RED, GREEN, BLUE = range(4)
IDS = [f"n0000000{i}" for i in range(4)]
VOCABULARY = Vocabulary(
    TagClass(i, IDS[i], name)
    for i, name in enumerate(("colour", "red", "green", "blue <hue>"))
)
TREE = Hierarchy([(), (ROOT,), (ROOT,), (ROOT,)])
_PIXELS = {RED: (220, 30, 30), GREEN: (30, 200, 30), BLUE: (40, 40, 220)}
IMAGES = 48
# Images of the validation split, by number: what they show, and are called.
TRUE = {1000: GREEN, 1001: BLUE}
WRONG = {1000: BLUE, 1001: RED}


def square(number: int, given: int, source: Source = Source.CSV) -> Record:
    """Returns image `number`, of colour 1 + number % 3, called `given`."""
    colour = np.array(_PIXELS[1 + number % 3]) + number % 29
    image = encode(np.full((20, 20, 3), colour, np.uint8), "JPEG", quality=95)
    return Record(
        f"csv/{number}",
        image,
        20,
        20,
        [
            Label(ROOT, 1.0, Rule.ANCESTOR, given, source),
            Label(given, 1.0, Rule.ANNOTATED, given, source),
        ],
        [],
    )


def write_noisy(folder: Path) -> Path:
    """Writes sound training images, and validation with `WRONG` ones."""
    folder.mkdir(parents=True)
    write_classes(folder, VOCABULARY, TREE)
    (folder / dataset_folder.MANIFEST).write_text('{"fingerprint": "a"}')
    rows = [square(i, 1 + i % 3) for i in range(IMAGES)]
    write_shards(folder, dataset_folder.TRAIN, rows, 2)
    rows = [square(i, WRONG.get(i, 1 + i % 3)) for i in range(1000, 1024)]
    write_shards(folder, dataset_folder.VALIDATION, rows, 1)
    return folder


def train_on(dataset: Path, workdir: Path) -> Path:
    """Trains until the colours are known."""
    config = tiny_config(epochs=6)
    train(dataclasses.replace(config, logging=QUIET), dataset, workdir)
    return workdir
