"""What many answered images say together: counts, few however many come.

The same counts are made of a model's held-out images, when it is exported, and
of a request log, so that `tagforest drift` compares like with like.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from serving.api import contract
from serving.traffic.log_format import MOST_CLASSES

# What NumPy raises for files that are none of its own, or cut short.
_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)

REFERENCE = "drift_reference.npz"
_FORMAT = 1
# Half a logit each: a probability of 0.0025 to 0.9997.
_LOGITS = 1 / (1 + np.exp(-np.arange(-6, 8.25, 0.5)))
# The least value of every bin but the first, which has what is below.
EDGES: Mapping[str, np.ndarray] = {
    "best_score": _LOGITS,
    "best_leaf_score": _LOGITS,
    "mean_tag_score": _LOGITS,
    "tags": np.arange(1, MOST_CLASSES + 1.0),
    "brightness": np.arange(8, 256.0, 8),
    "contrast": np.arange(4, 128.0, 4),
    "bytes_per_pixel": 2.0 ** np.arange(-6, 3.1, 0.25),
    "pixels": 2.0 ** np.arange(8, 27.1, 0.5),
    "aspect": 2.0 ** np.arange(-2, 2.1, 0.25),
}


class Tally:
    """Counts of answered images.

    Args:
        vocabulary, hierarchy: of the model.

    Attributes:
        images: that were counted, `invalid` ones too.
        invalid: images that could not be decoded.
        tags: int64 [classes], images of which the class is a tag.
        subtrees: int64 [classes], images of which it or one below it is one.
        histograms: int64 [bins] of each of `EDGES`; of valid images alone,
            and of those where the figure is known.
    """

    def __init__(self, vocabulary: Vocabulary, hierarchy: Hierarchy):
        self._fingerprint = vocabulary.fingerprint
        self._index_of = {c.wnid: c.index for c in vocabulary}
        self._hierarchy = hierarchy
        self.images = 0
        self.invalid = 0
        self.tags = np.zeros(len(vocabulary), np.int64)
        self.subtrees = np.zeros(len(vocabulary), np.int64)
        self.histograms = {
            name: np.zeros(len(edges) + 1, np.int64)
            for name, edges in EDGES.items()
        }

    @property
    def valid(self) -> int:
        """Images with an answer."""
        return self.images - self.invalid

    def knows(self, row: Mapping[str, Any]) -> bool:
        """Returns whether all classes of a row are the model's."""
        return all(w in self._index_of for w in row.get(contract.WNIDS, ()))

    def add(self, row: Mapping[str, Any]) -> None:
        """Counts an image, see `log_format`.

        Args:
            row: of classes that the model `knows`.
        """
        self.images += 1
        if not row[contract.VALID]:
            self.invalid += 1
            return
        classes = [self._index_of[w] for w in row[contract.WNIDS]]
        found = [
            c for c, ok in zip(classes, row[contract.IS_TAG], strict=True) if ok
        ]
        above = {a for c in found for a in self._hierarchy.ancestors(c)}
        self.tags[found] += 1
        self.subtrees[list({*found, *above})] += 1
        leaves = self._hierarchy.is_leaf[classes].tolist()
        for name, value in measures(row, leaves).items():
            place = np.searchsorted(EDGES[name], value, side="right")
            self.histograms[name][place] += 1

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Writes the counts, some 10 to 100 KB; equal ones give equal bytes.

        Args:
            facts: what JSON holds, about the images.
        """
        about = {
            **facts,
            "format": _FORMAT,
            "vocabulary": self._fingerprint,
            "images": self.images,
            "invalid": self.invalid,
        }
        text = json.dumps(about, sort_keys=True).encode()
        content = io.BytesIO()
        np.savez_compressed(
            content,
            about=np.frombuffer(text, np.uint8),
            tags=self.tags,
            subtrees=self.subtrees,
            **{f"of_{k}": v for k, v in self.histograms.items()},
        )
        path.write_bytes(content.getvalue())

    @classmethod
    def load(
        cls, path: Path, vocabulary: Vocabulary, hierarchy: Hierarchy
    ) -> tuple[Tally, dict[str, Any]]:
        """Reads what `save` wrote; returns the counts and the facts.

        Raises:
            InputError: no such file, no counts, or of other classes.
        """
        found = cls(vocabulary, hierarchy)
        try:
            with np.load(path, allow_pickle=False) as content:
                about = json.loads(content["about"].tobytes())
                found._take(content, about)
        except _BROKEN as error:
            raise InputError(
                f"{path} cannot be read as a reference of drift: {error}"
            ) from error
        return found, about

    def _take(self, content: Mapping[str, np.ndarray], about: Any) -> None:
        if about["vocabulary"] != self._fingerprint:
            raise ValueError("it counts other classes")
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']}, not {_FORMAT}")
        self.images, self.invalid = int(about["images"]), int(about["invalid"])
        self.tags += content["tags"]
        self.subtrees += content["subtrees"]
        for name, histogram in self.histograms.items():
            histogram += content[f"of_{name}"]


def measures(
    row: Mapping[str, Any], leaves: Iterable[bool]
) -> dict[str, float]:
    """Returns the figures of a valid image, by the names of `EDGES`.

    Args:
        row: see `log_format`.
        leaves: which of its classes have none below them.
    """
    scores = row[contract.SCORE_VALUES]
    of_tags = [
        s for s, ok in zip(scores, row[contract.IS_TAG], strict=True) if ok
    ]
    of_leaves = [s for s, ok in zip(scores, leaves, strict=True) if ok]
    found = {
        "best_score": max(scores, default=0.0),
        "best_leaf_score": max(of_leaves, default=0.0),
        "tags": float(len(of_tags)),
    }
    if of_tags:
        found["mean_tag_score"] = math.fsum(of_tags) / len(of_tags)
    height, width = row.get("height"), row.get("width")
    if height and width:
        found["pixels"] = height * width
        found["aspect"] = width / height
        found["bytes_per_pixel"] = row["bytes"] / (height * width)
    if "brightness" in row:
        found["brightness"] = row["brightness"]
        found["contrast"] = row["contrast"]
    return found
