"""Is a data set the one that a training has seen, and which images of it?

A data set made anew from the same images draws its splits anew: what is its
validation may have been the training's. Fingerprints of the manifests tell
data sets apart; ids and bytes tell images.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model import workdir as workdir_
from model.inputs.train_counts import fingerprint

_BATCH = 64


@dataclass(frozen=True)
class Judge:
    """A split to judge a training by, and what the training knows of it.

    Attributes:
        name: of the data set's folder.
        fingerprint: its manifest's, None for a data set made by hand.
        trained_on: fingerprint of the data set that was trained on, None
            where that is not known.
        left_out: images of the split that were trained on, and are left out;
            None where it was not looked for them.
    """

    name: str
    split: str
    fingerprint: str | None
    trained_on: str | None
    left_out: int | None = None

    @property
    def is_own(self) -> bool | None:
        """Whether it was trained on; None where that is not known."""
        if self.trained_on is None:
            return None
        return self.fingerprint == self.trained_on

    @property
    def folder(self) -> str:
        """Where its reports lie below those of the training's own data set."""
        # Two data sets may have one name.
        return f"{self.name}-{(self.fingerprint or 'none')[:8]}"

    def to_json(self) -> dict[str, Any]:
        """Returns what a report says of its data set."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "trained_on": self.trained_on,
            "is_trained_on": self.is_own,
            "training_images_left_out": self.left_out,
        }

    def describe(self, workdir: str | os.PathLike[str]) -> str | None:
        """Returns a line to say, None where the figures are honest."""
        if self.is_own:
            seen = self.split == dataset_folder.TRAIN
            return f"{workdir} was trained on these images" if seen else None
        said = (
            f"this is not the data set that {workdir} was trained on"
            if self.is_own is False
            else f"{workdir} does not say which data set it was trained on"
        )
        if self.left_out is not None:
            return (
                f"{said}; {self.left_out:,} of its {self.split} images are "
                "training images, by id or bytes, and were left out"
            )
        return (
            f"{said}{_why_not_found(workdir)}; its {self.split} images may be "
            "training images: --trained-on FOLDER, the data set of that "
            "training, leaves them out"
        )


def _why_not_found(workdir: str | os.PathLike[str]) -> str:
    """Says why the data set of a training was not looked into."""
    if _recorded(workdir) is None:
        return ""
    path = Path(workdir) / workdir_.DATASET_PATH
    if not path.is_file():
        return f" (where that lay is not noted there: no {path.name})"
    place = path.read_text(encoding="utf-8").rstrip("\n")
    return f" (that is not at {place} any more)"


def judge(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str,
) -> Judge:
    """Compares a data set with that of a training, by fingerprints alone."""
    # "." and "data/.." have names, too.
    name = os.path.basename(os.path.abspath(os.fspath(dataset)))
    return Judge(name, split, fingerprint(dataset), _recorded(workdir))


def find_trained_on(
    workdir: str | os.PathLike[str], given: str | None
) -> str | None:
    """Returns the folder of the data set that was trained on, if it is there.

    Args:
        given: where it lies now; by default where the training found it.

    Raises:
        InputError: what is given is another data set, or none.
    """
    recorded = _recorded(workdir)
    if given is not None:
        found = fingerprint(given)
        if recorded is not None and found != recorded:
            raise InputError(
                f"--trained-on {given}: {workdir} was trained on another data "
                f"set, with the fingerprint {recorded[:16]}; received: "
                f"{found and found[:16]}"
            )
        dataset_folder.shard_paths(given, dataset_folder.TRAIN)
        return given
    path = Path(workdir) / workdir_.DATASET_PATH
    if recorded is None or not path.is_file():
        return None
    place = path.read_text(encoding="utf-8").rstrip("\n")
    try:
        there = fingerprint(place) == recorded
    # It has gone, and that is no fault.
    except (InputError, OSError):
        return None
    return place if there else None


def trained_images(
    trained_on: str, dataset: str | os.PathLike[str], split: str
) -> np.ndarray:
    """Tells which images of a split another data set trains on.

    Those of one of its training images' id or bytes. All records of both are
    read; memory holds the split's ids and digests alone.

    Returns:
        bool [images], in the order of the split's shards.
    """
    by_key: dict[bytes, list[int]] = defaultdict(list)
    images = 0
    for keys in _keys(os.fspath(dataset), split):
        for key in keys:
            by_key[key].append(images)
        images += 1
    seen = np.zeros(images, bool)
    for keys in _keys(trained_on, dataset_folder.TRAIN):
        for key in keys:
            seen[by_key.get(key, [])] = True
    return seen


def _keys(dataset: str, split: str) -> Iterator[tuple[bytes, bytes]]:
    """Yields the digests of every image's id and bytes."""
    import tensorflow as tf

    tensorflow_files.register(dataset)
    paths = [
        tensorflow_files.tensorflow_path(shard)
        for shard in dataset_folder.shard_paths(dataset, split)
    ]
    whole = records.feature_spec()
    spec = {k: whole[k] for k in (records.IMAGE_ID, records.IMAGE_ENCODED)}
    for rows in tf.data.TFRecordDataset(paths).batch(_BATCH).prefetch(1):
        found = tf.io.parse_example(rows, spec)
        ids, images = (found[k].numpy().tolist() for k in spec)
        for image_id, content in zip(ids, images, strict=True):
            yield _digest(b"id", image_id), _digest(b"bytes", content)


def _digest(what: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16, person=what).digest()


def _recorded(workdir: str | os.PathLike[str]) -> str | None:
    path = Path(workdir) / workdir_.DATASET
    return workdir_.read_json(path, {}).get("fingerprint")
