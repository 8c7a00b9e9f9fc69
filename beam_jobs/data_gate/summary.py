"""What is kept of a data set, for the next one to be compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.files import storage
from beam_jobs.statistics.counts import load_images_per_class


@dataclass(frozen=True)
class DataSummary:
    """How many images of all splits have each class.

    Attributes:
        fingerprint: of the data set.
        images: in all splits.
        classes: WordNet id -> images; with closed labels an inner class has
            the images of its whole subtree. Classes without images are there.
        names: WordNet id -> what people call it.
    """

    fingerprint: str
    images: int
    classes: Mapping[str, int]
    names: Mapping[str, str]

    @classmethod
    def of_dataset(cls, dataset: str | os.PathLike[str]) -> DataSummary:
        """Counts a data set by the statistics beside its records.

        Raises:
            InputError: no data set there, or one without statistics.
        """
        manifest = Manifest.load(dataset)
        vocabulary, _ = load_folder(dataset)
        counts = np.zeros(len(vocabulary), np.int64)
        for split in manifest.splits:
            counts += load_images_per_class(dataset, split, vocabulary)
        active = vocabulary.active
        return cls(
            manifest.fingerprint,
            sum(split["images"] for split in manifest.splits.values()),
            {c.wnid: int(counts[c.index]) for c in active},
            {c.wnid: c.display_name for c in active},
        )

    def save(self, path: str) -> None:
        """Writes it as JSON; nobody sees half of it."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        storage.write_text(path, text + "\n")

    @classmethod
    def load(cls, path: str) -> DataSummary | None:
        """Reads what `save` wrote; None where there is nothing."""
        if not storage.exists(path):
            return None
        return cls(**json.loads(storage.read_text(path)))
