"""Saving and restoring a training, in the middle of an epoch as well."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np

from beam_jobs.errors import InputError
from model import checkpoint_files as files
from model.checkpoint_files import Best, Checkpoint, Position
from model.config import CheckpointConfig
from model.full_disk import writing
from model.network.load_tagger import read_weights
from model.training import strategy as strategy_
from model.training.best_epoch import JudgeEpochs

# Bytes of the file that describes a checkpoint, as disks give them.
_DESCRIPTION = 4096


class SaveCheckpoints(keras.callbacks.Callback):
    """Writes weights, optimizer, loss state and position; the chief's.

    After every epoch, and as the config says. Comes after the callback that
    writes the history: an epoch that is saved has its row.

    Args:
        judge: knows the best epoch, whose checkpoint stays.
    """

    def __init__(
        self,
        workdir: Path,
        config: CheckpointConfig,
        steps_per_epoch: int,
        judge: JudgeEpochs | None = None,
    ):
        super().__init__()
        self.judge = judge
        self.workdir = workdir
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.epoch = 0
        self._saved_step = -1
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        # What the training begins with is on disk already.
        if self._saved_step < 0:
            self._saved_step = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        # The last step is the epoch's: its row of the history comes first.
        if batch + 1 < self.steps_per_epoch and self._is_due(batch + 1):
            self.save(batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self.save(self.steps_per_epoch)

    def save(self, batch: int) -> bool:
        """Saves after so many steps of this epoch; returns whether it did.

        What is not finite is not saved: the checkpoint before is the last
        good one.
        """
        step = self.epoch * self.steps_per_epoch + batch
        if step == self._saved_step:
            return True
        # Asked at any step, though others look less often: a checkpoint waits
        # for the device in any case.
        bad, _ = self.model.watch.status()
        if bad is not None or not _all_finite(self.model):
            return False
        self._write(self.position(batch))
        files.prune(self.workdir, self.config.keep)
        self._saved_step, self._saved_at = step, time.monotonic()
        return True

    def _is_due(self, batch: int) -> bool:
        every = self.config.every_steps
        step = self.epoch * self.steps_per_epoch + batch
        # A callback may see only every n-th step (steps_per_execution).
        if every and step // every > self._saved_step // every:
            return True
        seconds = self.config.every_seconds
        return bool(seconds and time.monotonic() - self._saved_at >= seconds)

    def position(self, batch: int) -> Position:
        """Returns where the training stands after steps of this epoch."""
        step = self.epoch * self.steps_per_epoch + batch
        best = self.judge.best if self.judge else None
        if batch == self.steps_per_epoch:
            return Position(step, self.epoch + 1, best=best)
        # All workers would have to take part in a sum, but only the chief
        # saves. Replicas hold the same: the mean loss, and equal batches.
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        total, count = (
            replicas * strategy_.first_replica(v)
            for v in self.model.loss_mean.variables
        )
        return Position(step, self.epoch, batch, total, count, best)

    def _write(self, position: Position) -> None:
        partial = files.partial_path(self.workdir, position.step)
        what = f"the checkpoint of step {position.step}"
        with writing(self.workdir, what, self._bytes()):
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Whoever reads it, but for a training that goes on, wants
                # the average of the weights.
                with self.model.averaged():
                    self.model.save_weights(partial, overwrite=True)
                files.publish(self.workdir, position)
            except Exception:
                # What says so needs some room as well.
                partial.unlink(missing_ok=True)
                raise

    def _bytes(self) -> int:
        """Returns how many a checkpoint takes, as far as one can say."""
        if found := files.checkpoints(self.workdir):
            return found[-1].bytes + _DESCRIPTION
        values = [*self.model.weights, *self.model.optimizer.variables]
        return sum(np.asarray(v).nbytes for v in values) + _DESCRIPTION


class RestoreLossMean(keras.callbacks.Callback):
    """Goes on with the mean loss of an epoch that was interrupted.

    Keras resets it when an epoch begins.
    """

    def __init__(self, position: Position):
        super().__init__()
        self.position = position

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.position.epoch or not self.position.batch:
            return
        state = (self.position.loss_total, self.position.loss_count)
        variables = self.model.loss_mean.variables
        # Maybe others than those that saved: each takes its share.
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        for variable, value in zip(variables, state, strict=True):
            strategy_.set_on_replicas(variable, value / replicas)


def agree(strategy, is_chief: bool, workdir: Path) -> Checkpoint | None:
    """Returns the checkpoint that all workers go on from, the same for all.

    The chief looks for the last whole one and tells its step and content;
    the others check that this is what they see. All must call it.

    Raises:
        InputError: a worker sees no such checkpoint.
    """
    found = files.latest_checkpoint(workdir) if is_chief else None
    if is_chief:
        # Those of later steps are damaged: this run must not meet them again.
        files.remove_after(workdir, found.position.step if found else 0)
    if strategy.num_replicas_in_sync == 1:
        return found
    # Numbers, since that is what workers can send each other.
    mine = [found.position.step, _digest(found)] if found else [-1, 0]
    step, digest = strategy_.from_chief(strategy, mine)
    wrong = ""
    if not is_chief and step >= 0:
        path = files.checkpoint_path(workdir, step)
        wrong, found = files.inspect(path)
        if found is not None and not wrong and _digest(found) != digest:
            wrong = "it is not the chief's"
    if strategy_.any_worker(strategy, bool(wrong)):
        raise InputError(
            f"the workers do not see the same checkpoint after step {step}"
            f"{f' (here {wrong})' if wrong else ''}: give all of them the "
            f"same --workdir, on a disk that they share; here it is {workdir}"
        )
    return found


def load_best(model: keras.Model, workdir: Path, best: Best) -> None:
    """Gives a model the weights of its best epoch.

    Raises:
        InputError: their checkpoint is damaged.
    """
    path = files.checkpoint_path(workdir, best.step)
    wrong, _ = files.inspect(path)
    if wrong:
        raise InputError(
            f"{path} has the best weights, but {wrong}; --extend --set "
            "schedule.best=None ends with the last ones"
        )
    read_weights(model, path)


def check_same_weights(strategy, digest: str) -> None:
    """Checks that all workers ended alike; all must call it.

    Raises:
        InputError: a SHA-256 (hex) of their weights differs.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    # 28 bits: workers send each other numbers below 2^31.
    mine = int(digest[:7], 16)
    [chiefs] = strategy_.from_chief(strategy, [mine])
    if strategy_.any_worker(strategy, mine != chiefs):
        raise InputError(
            "the workers ended with different weights (here "
            f"{digest[:16]}...): none were written; train anew with --restart"
        )


def _digest(checkpoint: Checkpoint) -> int:
    return int(checkpoint.sha256[:7], 16)


def _all_finite(model: keras.Model) -> bool:
    return all(
        bool(np.isfinite(np.asarray(v)).all())
        for v in model.weights
        if np.issubdtype(np.asarray(v).dtype, np.floating)
    )
