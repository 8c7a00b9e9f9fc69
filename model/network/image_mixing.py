"""Mixup and CutMix: two images of a batch become one, with the labels of both.

Mixup (Zhang et al. 2017, https://arxiv.org/abs/1710.09412) adds them with
shares s and 1 - s; CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899,
equation 1) pastes a rectangle of 1 - s of the one into the other. s is drawn
from Beta(alpha, alpha) once a batch. The loss is s times that of an image's
own targets and 1 - s times that of its partner's, which for cross-entropy is
that of the mixed targets.

Partners are neighbours in the batch, so that any replicas make the pairs of
one: each needs an even number of images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from model.config import DataConfig

# Beside the draws of the loss, of the same step.
_STREAM = 1_000_003


class Mixing(NamedTuple):
    """What is done to the images of one batch.

    Attributes:
        share: s, float32 scalar; 1 for nothing.
        is_cut: bool scalar, whether by CutMix.
        centre: float32 [2] in [0, 1): row and column of the rectangle's.
    """

    share: Any
    is_cut: Any
    centre: Any


def draw(config: DataConfig, seed: int, step) -> Mixing:
    """Returns the mixing of a step, the same on all replicas.

    With both alphas, half of the mixed batches are by CutMix.
    """
    pair = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    pair += _STREAM
    used, kind, *centre = tf.unstack(tf.random.stateless_uniform([4], pair))
    cut_of = bool(config.cutmix_alpha) / max(
        1, bool(config.mixup_alpha) + bool(config.cutmix_alpha)
    )
    is_cut = kind < cut_of
    alpha = tf.where(is_cut, config.cutmix_alpha, config.mixup_alpha)
    # Two of gamma make one of beta.
    one, other = tf.unstack(tf.random.stateless_gamma([2], pair, alpha))
    share = one / tf.maximum(one + other, 1e-20)
    share = tf.where(used < config.mix_probability, share, 1.0)
    return Mixing(share, is_cut, tf.stack(centre))


def partners(rows):
    """Returns the rows [batch, ...] of each one's neighbour.

    Example:
        >>> [int(place) for place in partners(ops.arange(4))]
        [1, 0, 3, 2]
    """
    shape = ops.shape(rows)
    pairs = ops.reshape(rows, (shape[0] // 2, 2, *shape[1:]))
    return ops.reshape(ops.flip(pairs, axis=1), shape)


def mix(images, mixing: Mixing):
    """Returns images with their partners', and the share that is their own.

    Args:
        images: float32 [batch, height, width, channels].
    """
    height, width = images.shape[1:3]
    inside = _rectangle(height, width, mixing)
    # Clipped at the border it is smaller than drawn (the authors' code too).
    cut_share = 1.0 - ops.mean(ops.cast(inside, "float32"))
    other = partners(images)
    cut = ops.where(inside[None, :, :, None], other, images)
    added = mixing.share * images + (1.0 - mixing.share) * other
    return (
        ops.where(mixing.is_cut, cut, added),
        ops.where(mixing.is_cut, cut_share, mixing.share),
    )


def _rectangle(height: int, width: int, mixing: Mixing):
    """Returns bool [height, width]: what is the partner's."""
    half = ops.sqrt(1.0 - mixing.share) / 2

    def within(size, centre):
        place = (ops.arange(size, dtype="float32") + 0.5) / size
        return ops.abs(place - centre) < half

    rows = within(height, mixing.centre[0])
    columns = within(width, mixing.centre[1])
    return ops.logical_and(rows[:, None], columns[None, :])
