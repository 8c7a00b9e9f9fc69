"""Out-of-fold trainings: each image is scored by one that has not seen it.

A training remembers the labels that it was shown, wrong ones too. So the train
split is cut into folds by the hash of the images' bytes, equal ones together,
and for each fold a training of the same config sees the others alone. That
takes K trainings, and the disk of K copies of the train split.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from pathlib import Path

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.dataset_folder import TRAIN, VALIDATION
from beam_jobs.dataset.read_records import read_batches
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.config import Config
from model.inputs.train_counts import fingerprint
from model.training.train import train

_BATCH = 64


def train_folds(
    config: Config,
    dataset: str | os.PathLike[str],
    folder: Path,
    folds: int,
) -> list[tuple[Path, Path]]:
    """Trains on all folds but one, for each; goes on where it stopped.

    Args:
        config: of the trainings.
        dataset: whose train split is cut.
        folder: for data sets and trainings.
        folds: how many, 2 or more.

    Returns:
        Training and data set, whose validation split it has not seen, by fold.

    Raises:
        InputError: as `train`; or a fold without an image.
    """
    parts = []
    for fold in range(folds):
        place = folder / f"fold-{fold}-of-{folds}"
        write_fold(dataset, place / "dataset", fold, folds)
        train(config, place / "dataset", place / "run")
        parts.append((place / "run", place / "dataset"))
    return parts


def write_fold(
    dataset: str | os.PathLike[str], out: Path, fold: int, folds: int
) -> None:
    """Writes a data set: the images of one fold as validation, others train.

    Does nothing where it is there. Records keep their bytes and their order.

    Raises:
        InputError: one of both has no image, or another data set is there.
    """
    manifest = {
        "fingerprint": hashlib.sha256(
            f"{fingerprint(dataset)} fold {fold} of {folds}".encode()
        ).hexdigest()
    }
    path = out / dataset_folder.MANIFEST
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != manifest:
            raise InputError(
                f"{out} holds folds of another data set; name another folder"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        text = storage.read_text(storage.join(os.fspath(dataset), name))
        storage.write_text(os.fspath(out / name), text)
    counts = _cut(dataset, out, fold, folds)
    if not all(counts.values()):
        raise InputError(
            f"fold {fold} of {folds} has {counts[VALIDATION]} images and the "
            f"others {counts[TRAIN]}: take fewer folds"
        )
    # Last: what has none was broken off, and is written anew.
    storage.write_text(os.fspath(path), json.dumps(manifest))


def fold_of(content: bytes, folds: int) -> int:
    """Returns the fold of an image by its bytes; equal ones share it."""
    digest = hashlib.blake2b(content, digest_size=8, person=b"fold").digest()
    return int.from_bytes(digest, "big") % folds


def _cut(
    dataset: str | os.PathLike[str], out: Path, fold: int, folds: int
) -> dict[str, int]:
    """Copies records into both splits; returns how many each has."""
    import tensorflow as tf

    counts = {TRAIN: 0, VALIDATION: 0}
    with ExitStack() as stack:
        writers = {}
        for split in counts:
            name = out / dataset_folder.shard_path(split, 0, 1)
            name.parent.mkdir(parents=True, exist_ok=True)
            writer = tf.io.TFRecordWriter(os.fspath(name))
            writers[split] = stack.enter_context(writer)
        for shard in dataset_folder.shard_paths(dataset, TRAIN):
            for batch in read_batches(shard, _BATCH):
                rows = batch.serialized.numpy().tolist()
                images = batch.parsed[records.IMAGE_ENCODED].numpy().tolist()
                for row, image in zip(rows, images, strict=True):
                    held_out = fold_of(image, folds) == fold
                    split = VALIDATION if held_out else TRAIN
                    writers[split].write(row)
                    counts[split] += 1
    return counts
