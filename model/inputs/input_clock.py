"""How long a training waits for its data.

A batch that comes late is not all lost time: a device that was given work
ahead, or a thread that fetches ahead, goes on meanwhile. So the clock notes
when each batch was asked for and when it came, and `stalled` works out from
that how long nothing was left to do.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_FOREVER = np.iinfo(np.int64).max


class InputClock:
    """Notes the requests and arrivals of the last batches of a data set.

    Args:
        size: batches that it remembers.
    """

    def __init__(self, size: int = 16384):
        self.size = size
        with tf.device("CPU:0"):
            self._times = tf.Variable(
                tf.zeros([size, 2], tf.float64), trainable=False
            )

    def watch(
        self, batches: tf.data.Dataset, first: int = 0
    ) -> tf.data.Dataset:
        """Returns the same batches, each noted as it is handed over.

        Args:
            first: how many of other data sets came before them.
        """

        def note(asked, batch):
            place, since = asked
            # Once the batch is there, and before it goes on.
            with tf.control_dependencies(tf.nest.flatten(batch)):
                times = tf.stack([since, tf.timestamp()])
            noted = self._times.scatter_nd_update(
                [[place % self.size]], times[None]
            )
            with tf.control_dependencies([noted]):
                return tf.nest.map_structure(tf.identity, batch)

        # Zip asks one input after the other, in the thread of the consumer.
        asked = tf.data.Dataset.range(first, _FOREVER)
        asked = asked.map(lambda place: (place, tf.timestamp()))
        options = tf.data.Options()
        # A prefetch behind the clock would note when it asked, not the step.
        options.experimental_optimization.inject_prefetch = False
        noted = tf.data.Dataset.zip((asked, batches)).map(note)
        return noted.with_options(options)

    def times(self, first: int, last: int) -> np.ndarray | None:
        """Returns float64 [last - first, 2], seconds since 1970.

        Args:
            first, last: batches from `first` to before `last`, from 0.

        Returns:
            When each was asked for and when it came; None if there are none
            or more than are remembered.
        """
        if not 0 < last - first <= self.size:
            return None
        places = np.arange(first, last) % self.size
        return self._times.sparse_read(places).numpy()


def stalled(times: np.ndarray, start: float, end: float) -> float:
    """Returns the seconds in which a training had no batch to work on.

    At `start` nothing is left to do, then the batches come at a_1 ... a_n
    and each takes s seconds once it is there and the last is done. So all is
    done after max_i a_i + (n - i + 1) s, which is `end`: that gives s, and
    the stall is what n s leave of the time. Where steps differ in length
    this is too much, but it is never more than the waits themselves.

    Args:
        times: float64 [n, 2], from `InputClock.times`.
        start, end: seconds, the device being idle at both.
    """
    asked, came = np.clip(times.T, start, end) - start
    total = end - start
    step = np.min((total - came) / np.arange(len(came), 0, -1))
    spared = total - len(came) * step
    return float(max(min(np.sum(came - asked), spared), 0.0))
