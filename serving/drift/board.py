"""A point for TensorBoard: one a window, over the time of its last request."""

from __future__ import annotations

from pathlib import Path

from serving.drift.compare import FIGURE
from serving.drift.drift import Drift

# Each alarm is a curve of its own.
_MOST_CURVES = 50


def write_board(found: Drift, folder: Path) -> None:
    """Adds a window's figures to a run.

    The step is in seconds since 1970, so that windows stand in their order,
    however often and late they are compared.

    Args:
        folder: is made if need be.
    """
    import tensorflow as tf

    comparison, step = found.comparison, int(found.read.last)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=step):
        tf.summary.scalar("drift/alarms", len(comparison.alarms))
        tf.summary.scalar("drift/images", found.read.tally.images)
        tf.summary.scalar("drift/left_out", sum(found.read.rejected.values()))
        for change in comparison.changes:
            if change.kind == FIGURE:
                name = change.name.replace(" ", "_")
                tf.summary.scalar(f"psi/{name}", change.psi)
                tf.summary.scalar(f"median/{name}", change.now)
        shares = [c for c in comparison.alarms if c.kind != FIGURE]
        for change in shares[:_MOST_CURVES]:
            name = f"{change.kind}/{change.wnid.replace(':', '_')}"
            tf.summary.scalar(f"{name}/share", change.now)
            tf.summary.scalar(f"{name}/reference", change.before)
    writer.close()
