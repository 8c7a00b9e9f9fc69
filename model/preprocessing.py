"""Image bytes to network input: one decode and resize for everyone.

Training, evaluation and serving share `decode` and `scale`; evaluation and
serving use `decode_and_resize`. All are TensorFlow ops, so that they run in
tf.data and inside an exported graph. Pixels are RGB float32 in [-1, 1].

`augment` is for training only (paper, section 3.2). Its draws depend on a
seed pair alone, so that (seed, epoch, position) fixes every image.
"""

from __future__ import annotations

import math

import tensorflow as tf

from model.config import DataConfig

# A crop of the wished area and aspect may not fit; further ones are drawn.
# One in three misses for the paper's ranges on a square: 16 never all do.
_CROP_ATTEMPTS = 16


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Returns uint8 [height, width, 3], RGB.

    Args:
        encoded: scalar string: a JPEG, PNG, GIF (its first frame) or BMP.
    """
    image = tf.io.decode_image(
        encoded, channels=3, dtype=tf.uint8, expand_animations=False
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_and_resize(
    encoded: tf.Tensor, image_size: int, crop_fraction: float = 1.0
) -> tf.Tensor:
    """Decodes an image for evaluation and serving.

    The short side becomes `image_size / crop_fraction` pixels (bilinear,
    antialiased), the central square is kept.

    Args:
        encoded: scalar string: a JPEG, PNG, GIF (its first frame) or BMP.
        image_size: side of the result, pixels.
        crop_fraction: part of the short side that is kept.

    Returns:
        float32 [image_size, image_size, 3] in [-1, 1].
    """
    image = decode(encoded)
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


def decode_and_augment(
    encoded: tf.Tensor, seed: tf.Tensor, config: DataConfig
) -> tf.Tensor:
    """Decodes a training image with the augmentation of the config.

    Args:
        encoded: scalar string.
        seed: int64 [2]; equal seeds give equal images.

    Returns:
        float32 [image_size, image_size, 3] in [-1, 1].
    """
    return augment(decode(encoded), seed, config)


def augment(image: tf.Tensor, seed: tf.Tensor, config: DataConfig) -> tf.Tensor:
    """Crops, resizes, flips, rotates, recolours (independent draws), scales.

    Args:
        image: uint8 [height, width, 3].
        seed: int64 [2].

    Returns:
        float32 [image_size, image_size, 3] in [-1, 1].
    """
    # One op draws all numbers: random ops cost more than what they steer.
    draws = tf.random.stateless_uniform([2 * _CROP_ATTEMPTS + 11], seed)
    boxes = tf.reshape(draws[11:], [_CROP_ATTEMPTS, 2])
    place, draws = draws[:2], tf.unstack(draws[2:11])
    image = random_crop(image, boxes, place, config)
    image = _resize(image, config.image_size)
    if config.flip_probability:
        chosen = draws[0] < config.flip_probability
        image = tf.where(chosen, image[:, ::-1], image)
    if config.rotation_probability:
        angle = (2 * draws[2] - 1) * math.radians(config.rotation_degrees)
        chosen = draws[1] < config.rotation_probability
        image = tf.cond(chosen, lambda: rotate(image, angle), lambda: image)
    if config.colour_probability:
        chosen = draws[3] < config.colour_probability
        image = tf.cond(
            chosen, lambda: recolour(image, draws[4:], config), lambda: image
        )
    return scale(image)


def random_crop(
    image: tf.Tensor, boxes: tf.Tensor, place: tf.Tensor, config: DataConfig
) -> tf.Tensor:
    """Cuts out the first drawn box of wished area and aspect that fits.

    Args:
        image: [height, width, channels].
        boxes: float32 [attempts, 2], drawn from [0, 1): area and aspect.
        place: float32 [2], drawn from [0, 1): top and left.

    Returns:
        [crop height, crop width, channels].
    """
    if config.crop_area == (1.0, 1.0) and config.crop_aspect == (1.0, 1.0):
        return image
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    area = _between(boxes[:, 0], config.crop_area) * tf.reduce_prod(size)
    aspect = _between(boxes[:, 1], config.crop_aspect)
    box = tf.stack([tf.sqrt(area / aspect), tf.sqrt(area * aspect)], axis=1)
    box = tf.round(box)
    fits = tf.reduce_all(box <= size, axis=1)
    first = tf.argmax(tf.cast(fits, tf.int32))
    crop = tf.where(tf.reduce_any(fits), box[first], size)
    top_left = tf.floor(place * (size - crop + 1))
    begin = tf.concat([tf.cast(top_left, tf.int32), [0]], axis=0)
    extent = tf.concat([tf.cast(tf.maximum(crop, 1), tf.int32), [-1]], axis=0)
    return tf.slice(image, begin, extent)


def rotate(image: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Turns around the centre; what comes from outside is black.

    Args:
        image: float32 [height, width, channels], 0 to 255.
        angle: radians, anticlockwise.
    """
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    cos, sin = tf.cos(angle), tf.sin(angle)
    y, x = (size[0] - 1) / 2, (size[1] - 1) / 2
    zero = tf.zeros_like(cos)
    matrix = [cos, -sin, x - cos * x + sin * y]
    matrix += [sin, cos, y - sin * x - cos * y, zero, zero]
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack(matrix)[None],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(turned[0], image.shape)


def recolour(
    image: tf.Tensor, draws: list[tf.Tensor], config: DataConfig
) -> tf.Tensor:
    """Shifts brightness, saturation, hue and contrast, in one of two orders.

    Args:
        image: float32 [height, width, 3], 0 to 255.
        draws: five numbers in [0, 1): the four strengths and the order
            (saturation and hue before contrast, or after).

    Returns:
        The same, clipped to 0 to 255.
    """
    symmetric = (-1.0, 1.0)
    shift = _between(draws[0], symmetric) * config.brightness
    saturation = _between(draws[1], config.saturation)
    hue = _between(draws[2], symmetric) * config.hue
    contrast = _between(draws[3], config.contrast)

    def tint(pixels):
        pixels = tf.image.adjust_saturation(pixels, saturation)
        return tf.image.adjust_hue(pixels, hue)

    image = image / 255.0 + shift
    image = tf.cond(
        draws[4] < 0.5,
        lambda: tf.image.adjust_contrast(tint(image), contrast),
        lambda: tint(tf.image.adjust_contrast(image, contrast)),
    )
    return tf.clip_by_value(image, 0.0, 1.0) * 255.0


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(image, [size, size], antialias=True)
    # The antialiased kernel overshoots by rounding errors.
    return tf.clip_by_value(tf.ensure_shape(resized, [size, size, 3]), 0, 255)


def _between(draw: tf.Tensor, low_high: tuple[float, float]) -> tf.Tensor:
    low, high = low_high
    return low + draw * (high - low)
