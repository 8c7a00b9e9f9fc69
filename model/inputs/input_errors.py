"""Errors that come out of TensorFlow's input pipeline, as one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from beam_jobs.errors import InputError

_NODE = re.compile(r"\{\{.*?\}\} ")
# What Python raised in the pipeline arrives as a text with its traceback.
_OURS = re.compile(r"\bInputError: (.+)")


@contextlib.contextmanager
def as_input_errors() -> Iterator[None]:
    """Turns a broken record or a damaged shard into an InputError."""
    try:
        yield
    except tf.errors.DataLossError as error:
        said = _NODE.sub("", str(error.message)).split(" [Op:")[0]
        raise InputError(
            f"a shard of the data set is damaged ({said}); copy it "
            "again, or make the data set again with `tagforest dataset`"
        ) from error
    except tf.errors.OpError as error:
        found = _OURS.search(str(error.message))
        if found is None:
            raise
        raise InputError(found[1]) from error
