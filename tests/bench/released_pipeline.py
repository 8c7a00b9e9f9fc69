"""A straight port of the released code's training input to today's tf.data.

After `record_parser_without_bbox` and `image_preprocessing` of
https://github.com/Tencent/tencent-ml-images: one record at a time, five at
once, everything in float32 from the decoded image on, labels dense in the
record. Its numbers are the paper's where they differ from the released ones:
crop area [0.5, 1], and four ids for a quarter of rotations and a half of
colour changes. It shuffles nothing, in its favour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

_PARALLEL_CALLS = 5


def write(path: Path, images: Sequence[bytes], labels: np.ndarray) -> None:
    """Writes records of the released format.

    Args:
        images: JPEG files.
        labels: float32 [images, classes].
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, row in zip(images, labels, strict=True):
            example = tf.train.Example()
            features = example.features.feature
            features["width"].int64_list.value.append(1)
            features["height"].int64_list.value.append(1)
            features["image"].bytes_list.value.append(image)
            features["label"].bytes_list.value.append(row.tobytes())
            features["name"].bytes_list.value.append(b"name")
            writer.write(example.SerializeToString())


def read(path: Path, classes: int, size: int, batch: int) -> tf.data.Dataset:
    """Returns float32 images [batch, size, size, 3], labels [batch, classes].

    The images lie in [-1, 1].
    """

    def parse(row):
        parsed = _parse(row)
        image = tf.io.decode_image(
            parsed["image"], channels=3, expand_animations=False
        )
        image = tf.image.convert_image_dtype(image, tf.float32)
        return _distort(image, size), _labels(parsed, classes)

    return _batches(path, parse, batch)


def read_labels(path: Path, classes: int, batch: int) -> tf.data.Dataset:
    """Returns float32 [batch, classes]: the labels without their images."""
    return _batches(path, lambda row: _labels(_parse(row), classes), batch)


def _batches(path, parse, batch):
    rows = tf.data.TFRecordDataset(str(path))
    rows = rows.map(parse, num_parallel_calls=_PARALLEL_CALLS)
    return rows.prefetch(batch).batch(batch, drop_remainder=True).prefetch(1)


def _parse(row):
    return tf.io.parse_single_example(
        row,
        {
            "width": tf.io.FixedLenFeature([], tf.int64, 0),
            "height": tf.io.FixedLenFeature([], tf.int64, 0),
            "image": tf.io.FixedLenFeature([], tf.string, ""),
            "label": tf.io.FixedLenFeature([], tf.string, ""),
            "name": tf.io.FixedLenFeature([], tf.string, ""),
        },
    )


def _labels(parsed, classes):
    return tf.reshape(tf.io.decode_raw(parsed["label"], tf.float32), [classes])


def _distort(image, size):
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.zeros([1, 0, 4]),
        min_object_covered=0.7,
        aspect_ratio_range=[0.75, 4 / 3],
        area_range=[0.5, 1.0],
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.slice(image, begin, extent)
    image = tf.image.resize(image, [size, size])
    image = tf.reshape(image, [size, size, 3])
    image = tf.image.random_flip_left_right(image)
    number = tf.random.uniform([], 0, 4, tf.int32)
    image = tf.cond(number == 0, lambda: _rotate(image), lambda: image)
    image = tf.cond(number == 0, lambda: _recolour(image, 0), lambda: image)
    image = tf.cond(number == 1, lambda: _recolour(image, 1), lambda: image)
    image = tf.clip_by_value(image, 0.0, 1.0)
    return (image - 0.5) * 2.0


def _rotate(image):
    """tf.contrib.image.rotate: nearest pixels, black outside."""
    angle = tf.random.uniform([], -math.pi / 4, math.pi / 4)
    cos, sin = tf.cos(angle), tf.sin(angle)
    middle = (image.shape[0] - 1) / 2
    x = middle - cos * middle + sin * middle
    y = middle - sin * middle - cos * middle
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([cos, -sin, x, sin, cos, y, 0.0, 0.0])[None],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="NEAREST",
    )
    return tf.ensure_shape(turned[0], image.shape)


def _recolour(image, order):
    image = tf.image.random_brightness(image, 32 / 255)
    if order == 1:
        image = tf.image.random_contrast(image, 0.5, 1.5)
    image = tf.image.random_saturation(image, 0.5, 1.5)
    image = tf.image.random_hue(image, 0.2)
    if order == 0:
        image = tf.image.random_contrast(image, 0.5, 1.5)
    return image
