"""All that a served graph is made from, one class a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from model.scores.tagging import Tagging


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """What all tasks need.

    Attributes:
        embed: float32 images [B, S, S, 3] -> [B, D].
        image_size: S, in pixels.
        vocabulary: the classes, in the order of the network's.
        hierarchy: their is-a relation.
        weights_version: fingerprint of the weights.
        tolerance: how much an answer may change by the export. More than
            rounding errors of float32 only for networks of less precision.
        config: of the training, as JSON; "" if it is not known.
        weights: of a training, by their names.
    """

    embed: Callable[[tf.Tensor], tf.Tensor]
    image_size: int
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    weights_version: str = ""
    tolerance: float = 1e-5
    config: str = ""
    weights: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExportableTagger(Exportable):
    """A network of one logit a class.

    Attributes:
        logits: float32 images [B, S, S, 3] -> logits [B, classes].
        preprocess: image file bytes (scalar string) -> float32 [S, S, 3],
            the function that evaluation uses. It may raise.
        tagging: calibration and thresholds; None for the sigmoids and 0.5.
        one_class: the scores of an image are a softmax, and add up to 1.
    """

    logits: Callable[[tf.Tensor], tf.Tensor]
    preprocess: Callable[[tf.Tensor], tf.Tensor]
    tagging: Tagging | None = None
    one_class: bool = False

    def scores(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the scores of logits, float32 [B, classes]."""
        return (tf.nn.softmax if self.one_class else tf.math.sigmoid)(logits)


@dataclass(frozen=True, kw_only=True)
class ExportableDetector(Exportable):
    """A network of boxes.

    Attributes:
        detect: float32 images [B, S, S, 3] -> boxes float32 [B, K, 4] (ymin,
            xmin, ymax, xmax, parts of the image), scores float32 [B, K] and
            classes int32 [B, K], best first; -1 for no box.
        resize: uint8 [height, width, 3] -> float32 [S, S, 3], all of it.
        tolerance: of scores, and of boxes in parts of the image.
    """

    detect: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
    resize: Callable[[tf.Tensor], tf.Tensor]
    tolerance: float = 1e-4


@dataclass(frozen=True, kw_only=True)
class ExportableSegmenter(Exportable):
    """A network of a class for each pixel.

    Attributes:
        logits: float32 images [B, S, S, 3] -> [B, h, w, classes + 1], channel
            0 the background.
        mask_of: logits [h, w, classes + 1], height, width -> uint8 [height,
            width] of ids, by bilinear interpolation.
        resize: uint8 [height, width, 3] -> float32 [S, S, 3], all of it.
        tolerance: part of the pixels whose class may change.
    """

    logits: Callable[[tf.Tensor], tf.Tensor]
    mask_of: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    resize: Callable[[tf.Tensor], tf.Tensor]
    tolerance: float = 1e-3
