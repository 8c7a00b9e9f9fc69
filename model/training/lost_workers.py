"""What a worker says and does when another one is gone."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import tensorflow as tf

from model.training.distribution import Workers
from model.training.endings import WorkerLostError

_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def others_may_end(workers: Workers) -> Iterator[None]:
    """Turns what a collective operation says without its peers into a line."""
    try:
        yield
    except tf.errors.OpError as error:
        if workers.count == 1 or not isinstance(error, _LOST):
            raise
        print(
            f"error: worker {workers.index} lost another one "
            f"({_first_line(error)}); start all again with the same command: "
            "they go on from the last checkpoint",
            file=sys.stderr,
        )
        raise WorkerLostError from error


def _first_line(error: tf.errors.OpError) -> str:
    return str(error.message).strip().partition("\n")[0][:200]
