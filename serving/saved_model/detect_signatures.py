"""The graph that is served of a detector: image bytes -> boxes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from serving.api import contract
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.exportable import ExportableDetector
from serving.saved_model.image_signatures import (
    EXAMPLES,
    IMAGES,
    Endpoints,
    Outputs,
    WholeImageSignatures,
    unless_empty,
)
from serving.saved_model.servable import Servable
from serving.saved_model.served_classes import ServedClasses


class DetectSignatures(WholeImageSignatures):
    """The functions behind the signatures of a detector.

    Args:
        limits: what is decoded at all.
    """

    def __init__(
        self, detector: ExportableDetector, limits: ImageLimits | None = None
    ):
        super().__init__(detector, limits, detector.resize)
        self._detector = detector
        self._classes = ServedClasses(detector.vocabulary, detector.hierarchy)

    def endpoints(self) -> Endpoints:
        """Returns signature name -> (function, input signature)."""
        # Traced, and written, once for both names.
        detect = tf.function(self.detect, [IMAGES])
        return {
            contract.TAGS: (detect, [IMAGES]),
            contract.DETECT: (detect, [IMAGES]),
            contract.TF_EXAMPLE: (self.tf_example, [EXAMPLES]),
            contract.EMBEDDING: (self.embedding, [IMAGES]),
        }

    def detect(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> K boxes each, best first, and valid [N]."""
        return self._boxes(image_bytes, self._decode)

    def tf_example(self, examples: tf.Tensor) -> Outputs:
        """Serialized tf.Example [N] of our records -> the same."""
        return self._boxes(examples, self._decode_example)

    def _boxes(self, encoded, decode) -> Outputs:
        (images, sizes), valid = self._decode_rows(encoded, decode)
        boxes, scores, classes = unless_empty(self._detector.detect, images)
        found = valid[:, tf.newaxis] & (classes >= 0)
        whole = tf.cast(tf.tile(sizes, [1, 2]), tf.float32)[:, tf.newaxis]
        boxes = tf.clip_by_value(tf.cast(boxes, tf.float32), 0.0, 1.0) * whole
        # Of -1, no class, nothing is shown.
        known = self._classes.describe(tf.maximum(classes, 0))
        texts = (contract.NAMES, contract.WNIDS)
        return {
            contract.BOXES: tf.where(found[..., tf.newaxis], boxes, 0.0),
            contract.SCORE_VALUES: tf.where(
                found, tf.cast(scores, tf.float32), 0.0
            ),
            **{n: tf.where(found, known[n], "") for n in texts},
            contract.VALID: valid,
            **self._versions(tf.size(valid)),
        }

    def difference(self, servable: Servable, images: list[bytes]) -> float:
        """Returns the largest difference of a score, or of a clear box's side.

        A box is clear whose score is not near its neighbours', which rounding
        would put before it. Sides are in parts of the image; another class is
        a difference of 1.
        """
        served = servable.run(
            contract.DETECT, {contract.IMAGE_BYTES: np.array(images, object)}
        )
        if not served[contract.VALID].all():
            return np.inf
        rows = [self.preprocess(tf.constant(image)) for image in images]
        pixels, sizes = (tf.stack(parts) for parts in zip(*rows, strict=True))
        boxes, scores, classes = (
            np.asarray(part) for part in self._detector.detect(pixels)
        )
        ids = [c.wnid.encode() for c in self._detector.vocabulary]
        wnids = np.array([*ids, b""], object)[classes]
        found = served[contract.BOXES] / np.tile(sizes, [1, 2])[:, np.newaxis]
        apart = np.maximum(
            np.abs(found - boxes.astype(np.float32)).max(axis=-1),
            served[contract.WNIDS] != wnids,
        )
        clear = _is_clear(scores, 2 * self._detector.tolerance)
        differences = np.abs(served[contract.SCORE_VALUES] - scores)
        clear_ones = np.where(clear & (classes >= 0), apart, 0.0)
        return float(np.maximum(differences, clear_ones).max())


def _is_clear(scores: np.ndarray, least: float) -> np.ndarray:
    """Returns which scores [N, K], best first, are alone, bool [N, K]."""
    gaps = -np.diff(scores, axis=1, prepend=np.inf, append=-np.inf)
    return (gaps[:, :-1] > least) & (gaps[:, 1:] > least)
