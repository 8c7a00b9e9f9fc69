"""The SavedModel as any Python server calls it: files -> tags."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class ModelCall:
    """A version's default signature; TAGFOREST_VERSION is its folder."""

    def __init__(self) -> None:
        folder = os.environ["TAGFOREST_VERSION"]
        # Kept: the signature does not hold its variables.
        self._loaded = tf.saved_model.load(folder)
        self._call = self._loaded.signatures["serving_default"]

    def tags(self, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Returns names and scores of the tags of each image file."""
        found = self._call(image_bytes=tf.constant(list(images)))
        names, scores = found["names"].numpy(), found["scores"].numpy()
        shown = found["is_tag"].numpy()
        return [
            {
                "names": [n.decode() for n in row_names[row_shown]],
                "scores": row_scores[row_shown].tolist(),
            }
            for row_names, row_scores, row_shown in zip(
                names, scores, shown, strict=True
            )
        ]
