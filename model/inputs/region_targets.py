"""Boxes and masks of records to targets, as the network sees the images.

Boxes are float32 [batch, boxes, 4]: ymin, xmin, ymax, xmax, parts of what is
seen; their labels int32 [batch, boxes]: the class, PADDING or IGNORED. Masks
are uint8 [batch, size, size]: 0 background, class index + 1, 255 void.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import records
from beam_jobs.errors import InputError
from beam_jobs.images import regions
from model.config import DataConfig, HeadConfig
from model.config_sections import DETECTION, SEGMENTATION
from model.inputs import image_augmentation

PADDING, IGNORED = -1, -2
# Of less of its area, an object that a crop cuts is no example of its class.
_LEAST_SEEN = 0.25
_SIZES = (records.IMAGE_HEIGHT, records.IMAGE_WIDTH)
_OBJECTS = (records.OBJECT_CLASS, records.OBJECT_FLAG, records.OBJECT_BOX)
_FEATURES = {DETECTION: _OBJECTS, SEGMENTATION: (records.IMAGE_MASK,)}


class View(NamedTuple):
    """What is seen of an image.

    Attributes:
        top, left, height, width: parts of the image.
        flip: left and right are swapped.
    """

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0
    flip: bool = False


def views(
    key: int, places: np.ndarray, sizes: np.ndarray, config: DataConfig
) -> list[View]:
    """Returns what `image_augmentation.augment_batch` shows of images.

    Args:
        key, places: see there.
        sizes: int64 [images, 2], height and width.
    """
    found = []
    rows = image_augmentation.draws(key, places)
    for row, (height, width) in zip(rows, sizes.tolist(), strict=True):
        drawn = image_augmentation.choose(row, config)
        top, left, rows_, columns = image_augmentation.crop_box(
            height, width, drawn, config
        )
        found.append(
            View(
                top / height,
                left / width,
                rows_ / height,
                columns / width,
                drawn.flip,
            )
        )
    return found


def boxes_in(view: View, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes as they are seen, and how much of each.

    Args:
        boxes: float32 [boxes, 4], parts of the image.

    Returns:
        float32 [boxes, 4], parts of the view, and [boxes], of the area.
    """
    start = np.array([view.top, view.left] * 2, np.float32)
    span = np.array([view.height, view.width] * 2, np.float32)
    whole = (boxes - start) / span
    seen = whole.clip(0.0, 1.0)
    if view.flip:
        seen[:, [1, 3]] = 1.0 - seen[:, [3, 1]]
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (seen, whole)]
    return seen, areas[0] / np.maximum(areas[1], 1e-12)


def mask_in(view: View, ids: np.ndarray, size: int) -> np.ndarray:
    """Returns a mask as it is seen, by the nearest pixels.

    Args:
        ids: uint8 [height, width].
        size: side of the result.
    """
    places = (np.arange(size) + 0.5) / size
    columns = places[::-1] if view.flip else places
    rows = (view.top + view.height * places) * ids.shape[0]
    columns = (view.left + view.width * columns) * ids.shape[1]
    # One axis after the other: a third of the time of both at once.
    for axis, seen in enumerate((rows, columns)):
        chosen = np.minimum(seen.astype(np.int64), ids.shape[axis] - 1)
        ids = ids.take(chosen, axis)
    return ids


def box_targets(
    seen: Iterable[View],
    splits: np.ndarray,
    classes: np.ndarray,
    flags: np.ndarray,
    boxes: np.ndarray,
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes and labels of a batch.

    Args:
        seen: a view an image.
        splits: int64 [images + 1], of the objects.
        classes, flags: int64 [objects].
        boxes: float32 [4 x objects].
        most: objects an image; of more the largest.
    """
    found = np.zeros((len(splits) - 1, most, 4), np.float32)
    labels = np.full((len(splits) - 1, most), PADDING, np.int32)
    for i, view in enumerate(seen):
        mine = slice(splits[i], splits[i + 1])
        corners, share = boxes_in(view, boxes.reshape(-1, 4)[mine])
        label = np.where(flags[mine] == 0, classes[mine], IGNORED)
        label = np.where(share < _LEAST_SEEN, IGNORED, label)
        area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
        order = np.argsort(-area, kind="stable")
        order = order[area[order] > 0][:most]
        found[i, : len(order)] = corners[order]
        labels[i, : len(order)] = label[order]
    return found, labels


def mask_targets(
    seen: Iterable[View], masks: np.ndarray, names: np.ndarray, size: int
) -> np.ndarray:
    """Returns the masks of a batch.

    Args:
        seen: a view an image.
        masks: bytes [images], PNG files.
        names: bytes [images], ids of the records, for messages.
        size: side, pixels.

    Raises:
        InputError: a record without a mask, or with a broken one.
    """
    found = np.empty((len(masks), size, size), np.uint8)
    for i, view in enumerate(seen):
        found[i] = mask_in(view, read_mask(masks[i], names[i]), size)
    return found


def read_mask(mask: bytes, name: bytes) -> np.ndarray:
    """Returns the mask of a record, uint8 [height, width].

    Raises:
        InputError: it has none, or a broken one.
    """
    try:
        if not mask:
            raise ValueError("no mask; masks come from `--masks`")
        return regions.read_mask(mask)
    except ValueError as error:
        shown = name.decode(errors="replace")
        raise InputError(f"record {shown}: {error}") from error


def of_records(
    rows: tf.Tensor,
    config: DataConfig,
    head: HeadConfig,
    drawn: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, ...]:
    """Returns the targets of serialized records: boxes and labels, or masks.

    Args:
        rows: string [batch].
        drawn: key and int64 places [batch] of the augmentation; None: all
            images are seen whole.
    """
    names = records.IMAGE_ID, *_SIZES, *_FEATURES[head.task]
    parsed = tf.io.parse_example(rows, records.feature_spec(*names))
    sizes = tf.stack([parsed[name] for name in _SIZES], axis=1)
    key, places = drawn or (tf.constant(-1, tf.int64), sizes[:, 0])

    def seen(key, places, sizes) -> list[View]:
        if drawn is None:
            return [View()] * len(sizes)
        return views(int(key), places, sizes, config)

    of = (key, places, sizes), seen, parsed, rows.shape[0]
    if head.task == SEGMENTATION:
        return (_masks_of(*of, config.image_size),)
    return _boxes_of(*of, head.boxes)


# Key, places and sizes, see `views`; and what makes views of them.
_Drawn = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
_Seen = Callable[..., list[View]]


def _masks_of(
    drawn: _Drawn,
    seen: _Seen,
    parsed: Mapping[str, Any],
    count: int | None,
    side: int,
) -> tf.Tensor:
    def work(key, places, sizes, masks, names):
        return mask_targets(seen(key, places, sizes), masks, names, side)

    given = [parsed[records.IMAGE_MASK], parsed[records.IMAGE_ID]]
    masks = tf.numpy_function(work, [*drawn, *given], tf.uint8)
    return tf.ensure_shape(masks, [count, side, side])


def _boxes_of(
    drawn: _Drawn,
    seen: _Seen,
    parsed: Mapping[str, Any],
    count: int | None,
    most: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    def work(key, places, sizes, splits, classes, flags, boxes):
        views_ = seen(key, places, sizes)
        return box_targets(views_, splits, classes, flags, boxes, most)

    objects = [parsed[name] for name in _OBJECTS]
    given = [objects[0].row_splits, *(values.values for values in objects)]
    kinds = [tf.float32, tf.int32]
    boxes, labels = tf.numpy_function(work, [*drawn, *given], kinds)
    return (
        tf.ensure_shape(boxes, [count, most, 4]),
        tf.ensure_shape(labels, [count, most]),
    )
