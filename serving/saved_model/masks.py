"""Logits -> the mask of an image in its own size, in the served graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Of logits in an image's own size, at once: 64 MiB. Those of 100 million pixels
# with 21 classes are 8 GB.
_BAND_NUMBERS = 2**24

MaskOf = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def mask_and_shares(
    logits: tf.Tensor, height: tf.Tensor, width: tf.Tensor, mask_of: MaskOf
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the mask of one image, made band by band, and its classes' parts.

    Args:
        logits: float32 [h, w, C].
        height, width: int32, of the image, over 0.
        mask_of: logits [h, w, C], height, width -> uint8 [height, width]; by
            bilinear interpolation, as here between rows.

    Returns:
        uint8 [height, width] of ids, and float32 [C] that adds up to 1.
    """
    classes = logits.shape[-1]
    band = tf.maximum(1, _BAND_NUMBERS // (width * classes))
    band = tf.minimum(band, height)

    def made(start):
        rows = _rows_at(logits, start + tf.range(band), height)
        mask = mask_of(rows, band, width)
        # The last band goes on behind the image.
        inside = tf.cast(mask[: height - start], tf.int32)
        counts = tf.math.bincount(
            tf.reshape(inside, [-1]), minlength=classes, maxlength=classes
        )
        return mask, counts

    masks, counts = tf.map_fn(
        made,
        tf.range(0, height, band),
        parallel_iterations=1,
        fn_output_signature=(
            tf.TensorSpec([None, None], tf.uint8),
            tf.TensorSpec([classes], tf.int32),
        ),
    )
    mask = tf.reshape(masks, [-1, width])[:height]
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    counts = tf.cast(tf.reduce_sum(counts, axis=0), tf.float64)
    return mask, tf.cast(counts / pixels, tf.float32)


def _rows_at(
    logits: tf.Tensor, rows: tf.Tensor, height: tf.Tensor
) -> tf.Tensor:
    """Returns rows of logits that were resized to a height, bilinearly.

    Args:
        logits: float32 [h, w, C].
        rows: int32 [R], of `height`; those behind the end are as the last.

    Returns:
        float32 [R, w, C].
    """
    # As `tf.image.resize`: pixels are squares, read at their middle.
    last = tf.shape(logits)[0] - 1
    scale = tf.cast(last + 1, tf.float32) / tf.cast(height, tf.float32)
    place = (tf.cast(rows, tf.float32) + 0.5) * scale - 0.5
    place = tf.clip_by_value(place, 0.0, tf.cast(last, tf.float32))
    above = tf.cast(place, tf.int32)
    part = (place - tf.floor(place))[:, tf.newaxis, tf.newaxis]
    upper = tf.gather(logits, above)
    lower = tf.gather(logits, tf.minimum(above + 1, last))
    return upper + (lower - upper) * part
