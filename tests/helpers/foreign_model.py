"""A SavedModel of somebody else, whose answers depend on whole requests."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


def _of(dtype, shape=(None,)):
    return [tf.TensorSpec(shape, dtype, "x")]


class Lists(tf.Module):
    """Signatures that start with None and have no rows."""

    @tf.function(input_signature=_of(tf.float32))
    def share(self, x):
        return {"share": x / tf.reduce_sum(x)}

    @tf.function(input_signature=_of(tf.int32))
    def unique(self, x):
        return {"values": tf.unique(x).y}

    @tf.function(input_signature=_of(tf.float32, None))
    def twice(self, x):
        return {"y": 2 * x}

    @tf.function(input_signature=_of(tf.float32))
    def slow(self, x):
        """Takes about x[0] times 10 ms."""
        end = tf.cast(x[0] * 40, tf.int32)
        _, v = tf.while_loop(
            lambda i, v: i < end,
            lambda i, v: (i + 1, tf.sin(v)),
            (0, tf.ones([20_000])),
        )
        return {"y": x + 0 * v[0]}

    @tf.function(input_signature=_of(tf.int32))
    def zeros(self, x):
        return {"y": tf.zeros([x[0]])}

    @tf.function(input_signature=_of(tf.bfloat16))
    def bfloat16(self, x):
        return {"y": x + tf.cast(1, tf.bfloat16)}

    @tf.function(input_signature=_of(tf.complex64))
    def complex64(self, x):
        return {"y": x * tf.complex(0.0, 1.0)}


def write_lists(base: Path) -> Path:
    """Writes version 1 below a folder and returns the folder."""
    module = Lists()
    names = ("unique", "twice", "slow", "zeros", "bfloat16", "complex64")
    signatures = {name: getattr(module, name) for name in names}
    signatures["serving_default"] = module.share
    tf.saved_model.save(module, str(base / "1"), signatures)
    return base
