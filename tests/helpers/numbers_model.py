"""A SavedModel with numbers of every dtype, for the conformance suite.

`python -m tests.helpers.numbers_model FOLDER` writes version 1 of it for a
TensorFlow Serving that the suite is to run against.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

ECHOED = (
    *("bool", "double", "float", "int8", "int16", "int32", "int64"),
    *("string", "uint8", "uint32", "uint64"),
)


def _function(call, **dtypes):
    specs = {n: tf.TensorSpec([None], t, n) for n, t in dtypes.items()}
    return tf.function(call).get_concrete_function(**specs)


def _numbers(examples):
    spec = {"x": tf.io.FixedLenFeature([], tf.float32, default_value=-1.0)}
    return tf.io.parse_example(examples, spec)["x"]


def _double(x):
    return {"y": 2.0 * x}


def _classify(inputs):
    x = _numbers(inputs)
    classes = tf.stack([tf.fill(tf.shape(x), n) for n in ("a", "b")], axis=1)
    return {"classes": classes, "scores": tf.stack([x, 1.0 - x], axis=1)}


def _functions():
    pairs = tf.TensorSpec([None, 2], tf.float32, "x")
    one = tf.TensorSpec([], tf.float32, "x")
    default = tf.function(_double).get_concrete_function(pairs)
    scalar = tf.function(_double).get_concrete_function(one)
    echo = {
        f"echo_{name}": _function(
            lambda x: {"y": tf.identity(x)}, x=tf.as_dtype(name)
        )
        for name in ECHOED
    }
    return {
        **{"serving_default": default, "scalar": scalar},
        **echo,
        "two": _function(
            lambda x, n: {"sum": x + tf.cast(n, tf.float32), "n": n + 1},
            x=tf.float32,
            n=tf.int32,
        ),
        "to_half": _function(
            lambda x: {"y": tf.cast(x, tf.float16)}, x=tf.float32
        ),
        "from_half": _function(
            lambda x: {"y": tf.cast(x, tf.float32)}, x=tf.float16
        ),
        "unequal": _function(
            lambda x: {"a": x + 0.0, "b": tf.zeros([3])}, x=tf.float32
        ),
        "raw": _function(
            lambda s: {"raw_bytes": tf.identity(s), "text": s + ""},
            s=tf.string,
        ),
        "fails": _function(
            lambda x: {"y": tf.debugging.check_numerics(x, "not a number")},
            x=tf.float32,
        ),
        **_of_examples(),
    }


def _of_examples():
    """Returns what Classify and Regress ask, right and wrong."""
    return {
        "classify": _function(_classify, inputs=tf.string),
        "only_scores": _function(
            lambda inputs: {"scores": _numbers(inputs)[:, tf.newaxis]},
            inputs=tf.string,
        ),
        "flat_scores": _function(
            lambda inputs: {"scores": _numbers(inputs)}, inputs=tf.string
        ),
        "regress": _function(
            lambda inputs: {"outputs": 2.0 * _numbers(inputs)},
            inputs=tf.string,
        ),
        "regress_column": _function(
            lambda inputs: {"outputs": _numbers(inputs)[:, tf.newaxis]},
            inputs=tf.string,
        ),
    }


def write(base: Path) -> None:
    """Writes `<base>/1`."""
    signatures = _functions()
    tf.saved_model.save(tf.Module(), str(base / "1"), signatures=signatures)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
