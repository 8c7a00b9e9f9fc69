"""SIGTERM and Ctrl-C: save first, all workers at the same step, then end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import keras

from beam_jobs.stop_signals import stop_signals_to
from model.training.checkpoints import SaveCheckpoints
from model.workers.endings import StoppedError


class StopOnRequest(keras.callbacks.Callback):
    """Ends a training that this or another worker is asked to stop.

    Comes after all other callbacks.

    Args:
        saver: of the chief; the others save nothing.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        saver: SaveCheckpoints | None = None,
        workers: int = 1,
    ):
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.saver = saver
        self.workers = workers
        self.received: int | None = None
        self._unread = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes note of the signals; a second one has its usual effect."""
        with contextlib.ExitStack() as stack:
            # Within a thread, as of a notebook, nobody asks by a signal.
            with contextlib.suppress(ValueError):
                stack.enter_context(stop_signals_to(self._note))
            yield

    def _note(self, number, frame):
        self.received = number
        # Who asks twice does not want to wait for a checkpoint.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_begin(self, batch, logs=None):
        # Before the step: its reduction carries the request to all workers.
        if self.received is not None and self.workers > 1:
            self.model.watch.ask_to_stop()

    def on_train_batch_end(self, batch, logs=None):
        # At the end of an epoch its row of the history comes first.
        self._unread += 1
        if batch + 1 < self.steps_per_epoch and self._is_asked():
            self._stop(batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        if self._is_asked(always=True):
            self._stop(self.steps_per_epoch)

    def _is_asked(self, always: bool = False) -> bool:
        if self.workers == 1:
            return self.received is not None
        if not always and self._unread < self.model.watch.read_every:
            return False
        self._unread = 0
        return self.model.watch.status()[1]

    def _stop(self, batch: int):
        # None where another worker was asked: this one ends as if by SIGTERM.
        number = self.received or signal.SIGTERM
        if self.saver is not None:
            saved = self.saver.save(batch)
            print(
                f"stopped by {signal.Signals(number).name} after "
                f"{self.saver.position(batch)}; "
                f"{'all is saved' if saved else 'nothing new is saved'}; "
                "the same command goes on from there",
                flush=True,
            )
        raise StoppedError(number)
