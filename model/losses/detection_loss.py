"""The loss of boxes without anchors: each point of a map answers for itself.

Tian et al., "FCOS", https://arxiv.org/abs/1904.01355: a point near the middle
of an object learns its class and the distances to its four sides. Three
terms, summed over the points:

    L = focal(class) + 1 - GIoU(box) + BCE(quality, IoU(box))

the last two over the positive points alone. The focal loss has alpha 0.25 and
gamma 2 (https://arxiv.org/abs/1708.02002); GIoU is of
https://arxiv.org/abs/1902.09630; the quality, the IoU that a box will turn
out to have, takes the place of FCOS' centreness
(https://arxiv.org/abs/1912.05877).

Boxes are (ymin, xmin, ymax, xmax), in parts of the square image. Points are
float32 [points, 3]: y, x and the stride of their map, in parts as well.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from model.losses.pair_losses import focal_pair, weighted_sum

# Labels of truths and points that are no class: a truth that only fills the
# batch, or a point on the background; what takes no part.
NOTHING, IGNORED = -1, -2
# In strides: how far from an object's middle its points lie.
RADIUS = 1.5
# In strides: the largest sqrt(height * width) of a map's objects. FCOS' 8
# times the distance to a side would leave the coarsest map of small images
# without any.
LARGEST_SIDE = 8.0
# Union of two boxes of no size, in parts of the image.
_LEAST_AREA = 1e-9


def assign(boxes, labels, points: np.ndarray):
    """Gives each point the object that it answers for.

    An object is learned on one map: the finest whose `LARGEST_SIDE` it does
    not exceed, else the coarsest. There it has the points inside it that lie
    at most `RADIUS` from its middle along both axes, and in any case the
    point nearest to its middle, so that small and thin ones are learned too.
    A point of several objects goes to the smallest, of equal ones to the
    first. The other points are background, but those inside an ignored
    object take no part.

    Args:
        boxes: float32 [batch, objects, 4].
        labels: int32 [batch, objects]: a class, NOTHING or IGNORED.
        points: float32 [points, 3].

    Returns:
        int32 [batch, points], a class, NOTHING (background) or IGNORED; and
        float32 [batch, points, 4], the object's box, of use at classes only.
    """
    inside = _inside(boxes, points)
    candidates = _candidates(boxes, labels, points, inside)
    areas = ops.where(candidates, _area(boxes)[:, None], np.inf)
    owner = ops.argmin(areas, axis=-1)
    ignored = ops.any(inside & (labels == IGNORED)[:, None], axis=-1)
    found = ops.where(
        ops.any(candidates, axis=-1),
        ops.take_along_axis(labels, owner, axis=1),
        # A bottle on a table that is to be ignored is a bottle all the same.
        ops.where(ignored, IGNORED, NOTHING),
    )
    return found, ops.take_along_axis(boxes, owner[..., None], axis=1)


def _inside(boxes, points):
    """Returns which points lie in which boxes, bool [batch, points, boxes]."""
    y, x = points[:, :1], points[:, 1:2]
    ymin, xmin, ymax, xmax = (boxes[:, None, :, i] for i in range(4))
    return (ymin < y) & (y < ymax) & (xmin < x) & (x < xmax)


def _candidates(boxes, labels, points, inside):
    """Returns which points may answer for which objects, shaped alike."""
    strides = np.unique(points[:, 2])
    side = ops.sqrt(_area(boxes))
    # How many maps are too fine for it; it is on the next.
    finer = side[..., None] > LARGEST_SIDE * strides[:-1]
    own_map = ops.sum(ops.cast(finer, "int32"), axis=-1)
    map_of_point = np.searchsorted(strides, points[:, 2]).astype(np.int32)
    on_map = map_of_point[:, None] == own_map[:, None]
    on_map &= ((labels >= 0) & (side > 0))[:, None]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    y, x = (
        ops.abs(points[:, axis, None] - middle[:, None, :, axis])
        for axis in range(2)
    )
    away = ops.maximum(y, x)
    near = inside & (away < RADIUS * points[:, 2:])
    away = ops.where(on_map, away, np.inf)
    nearest = away == ops.min(away, axis=1, keepdims=True)
    return on_map & (near | nearest)


def _area(boxes):
    """Returns the areas of boxes [..., 4], 0 for those upside down."""
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def boxes_at(points, distances):
    """Returns the boxes float32 [..., points, 4] that points answer with.

    Args:
        points: float32 [..., points, 3].
        distances: float32 [..., points, 4]: up to the top, to the left, down
            and to the right, in strides.
    """
    distances = distances * points[..., 2:]
    low = points[..., :2] - distances[..., :2]
    high = points[..., :2] + distances[..., 2:]
    return ops.concatenate([low, high], axis=-1)


def overlaps(one, two):
    """Returns IoU and generalized IoU, float32 [...], of boxes [..., 4].

    Example:
        >>> iou, giou = overlaps(np.float32([0, 0, 2, 2]),
        ...     np.float32([0, 1, 2, 4]))
        >>> round(float(iou), 3), round(float(giou), 3)
        (0.25, 0.25)
    """
    low = ops.maximum(one[..., :2], two[..., :2])
    high = ops.minimum(one[..., 2:], two[..., 2:])
    shared = _area(ops.concatenate([low, high], axis=-1))
    union = ops.maximum(_area(one) + _area(two) - shared, _LEAST_AREA)
    low = ops.minimum(one[..., :2], two[..., :2])
    high = ops.maximum(one[..., 2:], two[..., 2:])
    hull = _area(ops.concatenate([low, high], axis=-1))
    hull = ops.maximum(hull, _LEAST_AREA)
    iou = shared / union
    return iou, iou - (hull - union) / hull


def positives(labels, weights=None):
    """Returns how many points have a class, a float32 scalar.

    Args:
        labels: int32 [batch, points].
        weights: float32 [batch]; None: all 1.
    """
    return ops.sum(_weighted(labels >= 0, weights))


def detection_loss(outputs, labels, boxes, points, weights=None):
    """Returns L, summed over all points of the batch, a float32 scalar.

    Divide it by the `positives` of the global batch. Images without objects
    count all the same: their points are background.

    Args:
        outputs: of the network: `classes`, float32 logits [batch, points,
            classes]; `distances`, see `boxes_at`; `quality`, float32 logits
            [batch, points].
        labels, boxes: of the points, see `assign`.
        points: float32 [points, 3].
        weights: of images, float32 [batch]; None: all 1.
    """
    by_class = _class_loss(outputs["classes"], labels, weights)
    iou, giou = overlaps(boxes_at(points, outputs["distances"]), boxes)
    wanted = ops.stop_gradient(iou)
    # Cross-entropy of a target that is no 0 or 1, by its logit.
    logits = outputs["quality"]
    by_quality = ops.softplus(logits) - wanted * logits
    by_box = _weighted(labels >= 0, weights) * (1.0 - giou + by_quality)
    return by_class + ops.sum(by_box)


def _class_loss(logits, labels, weights):
    classes = logits.shape[-1]
    targets = ops.cast(labels[..., None] == np.arange(classes), "int8")
    return weighted_sum(
        focal_pair(focal_gamma=2.0, focal_alpha=0.25),
        ops.reshape(targets, (-1, classes)),
        ops.reshape(logits, (-1, classes)),
        ops.reshape(_weighted(labels != IGNORED, weights), (-1, 1)),
        ops.ones(classes),
    )


def _weighted(chosen, weights):
    chosen = ops.cast(chosen, "float32")
    return chosen if weights is None else chosen * weights[:, None]
