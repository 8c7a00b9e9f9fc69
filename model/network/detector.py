"""The model of boxes: backbone, feature pyramid, a head without anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.inputs import preprocessing
from model.losses import detection_loss
from model.network import replicas
from model.network.detection_head import build_head
from model.network.pyramid import pyramid
from model.network.task_model import TaskModel

# The finest map that is used; one more is added where there are fewer.
_FINEST_LEVEL, _ENOUGH_MAPS = 3, 3
# (point, class) pairs of an image that may become boxes.
CANDIDATES = 500
# Boxes of one class that overlap more are one.
SUPPRESSED_IOU = 0.6
LEAST_SCORE = 0.05


@keras.saving.register_keras_serializable(package="tagforest")
class Detector(TaskModel):
    """Images to what `detection_loss` takes; `detect` makes boxes of it.

    Input float32 [batch, size, size, 3] in [-1, 1] or uint8. A batch of the
    training is (images, boxes, labels), of an evaluation (images, boxes,
    labels, weights): boxes float32 [batch, objects, 4] (ymin, xmin, ymax,
    xmax), parts of the image; labels int32 [batch, objects]: a class, -1
    fills up, -2 is an object to ignore; weights float32 [batch]: 0 fills up.

    Args:
        config: a Config, or its JSON text.
        classes: size of the vocabulary.

    Attributes:
        points: float32 [points, 3], see `grid_points`.

    Raises:
        InputError: the network gives no pyramid.
    """

    def __init__(self, config: Config | str, classes: int, **kwargs):
        super().__init__(config, classes, **kwargs)
        config = self.config
        maps = pyramid(self.backbone, config.network)
        levels = [n for n in maps.output if n >= _FINEST_LEVEL]
        levels = levels or [max(maps.output)]

        def features(images, training):
            found = maps(images, training=training)
            return [found[level] for level in levels]

        # In a function Keras does not see it: its layers are the backbone's,
        # and are saved, and averaged over replicas, as those.
        self._features = features
        more = [levels[-1] + 1] if len(levels) < _ENOUGH_MAPS else []
        self.head = build_head(
            {level: maps.output[level] for level in levels},
            len(more),
            classes=classes,
            filters=config.head.filters,
            precision=config.network.precision,
        )
        self.points = grid_points(config.data.image_size, [*levels, *more])
        self.built = True

    def call(self, images, training=False):
        """Returns what `build_head` says."""
        images = preprocessing.network_input(images)
        return self.head(self._features(images, training), training=training)

    def detect(self, images):
        """Returns the boxes found, best first.

        Args:
            images: as of a call, any number.

        Returns:
            float32 [batch, K, 4], parts of the image from 0 to 1; scores
            float32 [batch, K]: sqrt(probability of the class * quality);
            classes int32 [batch, K]. K is `head.boxes`; where fewer are found
            the rest has a box of zeros, score 0 and class -1.
        """
        return self.boxes_of(self(images, training=False))

    def boxes_of(self, outputs):
        """Returns what `detect` does, of the outputs of a call."""
        best = _best_pairs(outputs, self.points)
        return _without_repeats(*best, self.classes, self.config.head.boxes)

    def plan_step(self, data):
        """Returns what to divide the loss by; images, labels, boxes.

        Labels and boxes are those of the points.
        """
        images, boxes, labels = data
        labels, boxes = detection_loss.assign(boxes, labels, self.points)
        found = detection_loss.positives(labels)
        (found,) = replicas.sum_over_replicas([found])
        # A step takes the mean of what its parts and replicas return.
        shares = replicas.num_replicas() * self.accumulation_steps
        return tf.maximum(found, 1.0) / shares, (images, labels, boxes)

    def step_loss(self, plan, images, labels, boxes):
        outputs = self(images, training=True)
        loss = detection_loss.detection_loss(
            outputs, labels, boxes, self.points
        )
        return loss / plan

    def update_metrics(self, data):
        """One batch of an evaluation; the loss is that of a positive point."""
        images, boxes, labels, weights = data
        labels, boxes = detection_loss.assign(boxes, labels, self.points)
        outputs = self(images, training=False)
        loss = detection_loss.detection_loss(
            outputs, labels, boxes, self.points, weights
        )
        # Images without any object count as one point together.
        least = tf.minimum(tf.reduce_sum(weights), 1.0)
        found = tf.maximum(detection_loss.positives(labels, weights), least)
        mean = tf.math.divide_no_nan(loss, found)
        self.loss_mean.update_state(mean, sample_weight=found)


def grid_points(image_size: int, levels: Sequence[int]) -> np.ndarray:
    """Returns y, x and stride of all points, float32 [points, 3].

    In parts of the image. A point is the middle of the square that its place
    on the map stands for; the last of a row may lie outside of the image.

    Args:
        levels: log2 of the strides in pixels, finest first.

    Example:
        >>> grid_points(8, [2, 3])[2:].tolist()
        [[0.75, 0.25, 0.5], [0.75, 0.75, 0.5], [0.5, 0.5, 1.0]]
    """
    grids = []
    for level in levels:
        stride = 2**level / image_size
        middles = (np.arange(math.ceil(1 / stride)) + 0.5) * stride
        y, x = np.meshgrid(middles, middles, indexing="ij")
        points = np.stack([y, x, np.full_like(y, stride)], axis=-1)
        grids.append(points.reshape(-1, 3))
    return np.concatenate(grids).astype(np.float32)


def _best_pairs(outputs, points: np.ndarray):
    """Returns boxes, scores and classes of the best (point, class) pairs.

    Points first, then their pairs: the best n pairs are of the best n points,
    and not all classes of all points need a place in memory.
    """
    logits, quality = outputs["classes"], tf.sigmoid(outputs["quality"])
    best = tf.sigmoid(tf.reduce_max(logits, axis=-1)) * quality
    _, rows = tf.math.top_k(best, min(CANDIDATES, len(points)))
    logits, quality, distances = (
        tf.gather(each, rows, batch_dims=1)
        for each in (logits, quality, outputs["distances"])
    )
    boxes = detection_loss.boxes_at(tf.gather(points, rows), distances)
    classes = logits.shape[-1]
    scores = tf.sqrt(tf.sigmoid(logits) * quality[..., None])
    pairs = rows.shape[-1] * classes
    scores, places = tf.math.top_k(
        tf.reshape(scores, [-1, pairs]), min(CANDIDATES, pairs)
    )
    boxes = tf.gather(boxes, places // classes, batch_dims=1)
    return tf.clip_by_value(boxes, 0.0, 1.0), scores, places % classes


def _without_repeats(boxes, scores, classes, count: int, kept: int):
    """Returns `kept` boxes, scores and classes after suppression by class.

    Args:
        count: of all classes.
    """
    # Each class has a place of its own on the plane, where the boxes of no
    # other one are: the operation's own classes would need the scores of all.
    # In a square, since in a row 11,000 of them would take float32's digits.
    side = math.ceil(math.sqrt(count))
    place = tf.stack([classes // side, classes % side], axis=-1)
    apart = boxes + 2.0 * tf.tile(tf.cast(place, boxes.dtype), [1, 1, 2])
    boxes, scores, _, _ = tf.image.combined_non_max_suppression(
        apart[:, :, None],
        scores[..., None],
        max_output_size_per_class=kept,
        max_total_size=kept,
        iou_threshold=SUPPRESSED_IOU,
        score_threshold=LEAST_SCORE,
        clip_boxes=False,
    )
    place = tf.floor(boxes[..., :2] / 2.0)
    boxes -= 2.0 * tf.tile(place, [1, 1, 2])
    place = tf.cast(place, tf.int32)
    classes = place[..., 0] * side + place[..., 1]
    return boxes, scores, tf.where(scores > 0.0, classes, -1)
