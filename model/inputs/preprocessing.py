"""Image bytes to network input: one decode and resize for everyone.

Serving uses `decode_and_resize`: TensorFlow ops, which run inside an exported
graph. Evaluation decodes on the host (`host_images`), to the same pixels, and
goes on with the same ops. Pixels are RGB float32 in [-1, 1].

Training resizes by the same filter, faster, and augments on the host
(`image_augmentation`); its pixels stay uint8 until `network_input`, the
network's own first step.
"""

from __future__ import annotations

import keras
import tensorflow as tf

_JPEG_START = b"\xff\xd8\xff"


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Returns uint8 [height, width, 3], RGB.

    Args:
        encoded: scalar string: a JPEG, PNG, GIF (its first frame) or BMP.
    """
    image = tf.cond(
        tf.strings.substr(encoded, 0, 3) == _JPEG_START,
        # By default it takes a coarser transform than all other software.
        lambda: tf.io.decode_jpeg(
            encoded, channels=3, dct_method="INTEGER_ACCURATE"
        ),
        lambda: tf.io.decode_image(
            encoded, channels=3, dtype=tf.uint8, expand_animations=False
        ),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_and_resize(
    encoded: tf.Tensor,
    image_size: int,
    crop_fraction: float = 1.0,
    framing: str = "square",
) -> tf.Tensor:
    """Decodes an image for evaluation and serving.

    The short side becomes `image_size / crop_fraction` pixels (bilinear,
    antialiased), the central square is kept.

    Args:
        encoded: scalar string: a JPEG, PNG, GIF (its first frame) or BMP.
        image_size: side of the result, pixels.
        crop_fraction: part of the short side that is kept.
        framing: `whole`: all of the image is kept, and loses its shape.

    Returns:
        float32 [image_size, image_size, 3] in [-1, 1].
    """
    image = decode(encoded)
    return crop_and_resize(image, image_size, crop_fraction, framing)


def crop_and_resize(
    image: tf.Tensor,
    image_size: int,
    crop_fraction: float = 1.0,
    framing: str = "square",
) -> tf.Tensor:
    """Does what `decode_and_resize` does to uint8 [height, width, 3]."""
    if framing == "whole":
        return scale(_resize(image, image_size))
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    kept = tf.reduce_min(size) * crop_fraction
    # Crop before the resize: the same pixels, and a panorama costs no more.
    side = tf.maximum(tf.cast(tf.round(kept), tf.int32), 1)
    top_left = (tf.shape(image)[:2] - side) // 2
    square = tf.slice(
        image, tf.concat([top_left, [0]], 0), tf.stack([side, side, 3])
    )
    return scale(_resize(square, image_size))


def scale(pixels: tf.Tensor) -> tf.Tensor:
    """Returns pixels of 0 to 255 as float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) * (2.0 / 255.0) - 1.0


def network_input(images):
    """Returns what the network computes with: uint8 pixels scaled.

    Args:
        images: uint8 [batch, size, size, 3], or float32 in [-1, 1], which
            stay as they are.
    """
    if keras.backend.standardize_dtype(images.dtype) != "uint8":
        return images
    return keras.ops.cast(images, "float32") * (2.0 / 255.0) - 1.0


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(image, [size, size], antialias=True)
    # The antialiased kernel overshoots by rounding errors.
    return tf.clip_by_value(tf.ensure_shape(resized, [size, size, 3]), 0, 255)
