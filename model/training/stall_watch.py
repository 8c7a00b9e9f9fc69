"""A training that hangs ends, so that what started it can start it again.

NCCL waits for ever for a peer that lives and does not answer, and TensorFlow's
own time-out starts a thread for each collective operation. This one watches
whether steps end, whatever keeps them from it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

import keras

from beam_jobs.files.tensorflow_files import end_process
from model.workers.endings import LOST_STATUS

_POLL_SECONDS = 1.0


class StallWatch(keras.callbacks.Callback):
    """Ends this process, with status 75, if no step ends for too long.

    Args:
        index: of this worker, for the message.
        seconds: without a step of training or validation; 0 is for ever.
        end: what to do then.
    """

    def __init__(
        self,
        index: int,
        seconds: float,
        end: Callable[[int], object] = end_process,
    ):
        super().__init__()
        self.index = index
        self.seconds = seconds
        self._end = end
        self._idle = 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watches until it is left."""
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=[over], daemon=True)
        if self.seconds:
            thread.start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        # Not by a clock: it goes on while this process is stopped itself.
        while not over.wait(_POLL_SECONDS):
            self._idle += _POLL_SECONDS
            if self._idle >= self.seconds:
                print(
                    f"error: no step of worker {self.index} has ended for "
                    f"{self.seconds:g} s: it waits for another worker, a "
                    "device or a disk; start all again with the same command: "
                    "they go on from the last checkpoint",
                    file=sys.stderr,
                )
                self._end(LOST_STATUS)
                return

    def _goes_on(self, *args, **logs):
        self._idle = 0.0

    on_epoch_begin = on_epoch_end = _goes_on
    on_train_batch_end = on_test_batch_end = _goes_on
