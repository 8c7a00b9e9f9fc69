"""The best epoch by a figure of the validation split; the end without one.

Keras' `EarlyStopping` and `ModelCheckpoint` forget both when they start anew,
and write over the file of the best weights. Here the state is in the position
of each checkpoint, and the best weights are a checkpoint that stays.
"""

from __future__ import annotations

import math
from dataclasses import replace

import keras

from model.checkpoint_files import Best, Position
from model.config import ScheduleConfig
from model.config_sections import BEST_FIGURES
from model.monitoring.step_logs import scalars
from model.training import strategy as strategy_


class JudgeEpochs(keras.callbacks.Callback):
    """Keeps the best look, and ends a training that finds no better one.

    Of every worker, and before what saves: a checkpoint has its look.

    Attributes:
        best: so far.
    """

    def __init__(
        self, schedule: ScheduleConfig, steps_per_epoch: int, best: Best | None
    ):
        super().__init__()
        self.schedule, self.steps_per_epoch = schedule, steps_per_epoch
        self.best = best

    def on_epoch_end(self, epoch, logs=None):
        figure = self.schedule.best
        value = scalars(logs).get(f"val_{figure}")
        # Not every epoch ends with a look.
        if figure is None or value is None:
            return
        step = (epoch + 1) * self.steps_per_epoch
        look = Best(figure, value, epoch + 1, step)
        self.best = better(self.best, look)
        over = is_over(self.best, self.schedule)
        # The chief's word: its checkpoints say what is best.
        strategy = self.model.distribute_strategy
        [over] = strategy_.from_chief(strategy, [int(over)])
        if over:
            self.model.stop_training = True


def better(best: Best | None, look: Best) -> Best:
    """Returns the better of two; of equal ones the first.

    Example:
        >>> first = better(None, Best("loss", 2.0, epoch=1, step=10))
        >>> better(first, Best("loss", 2.0, epoch=2, step=20))
        Best(figure='loss', value=2.0, epoch=1, step=10, looks=1)
    """
    if best is None or math.isnan(best.value):
        return look
    sign = 1 if BEST_FIGURES[look.figure] else -1
    if sign * look.value > sign * best.value:
        return look
    return replace(best, looks=best.looks + 1)


def is_over(best: Best | None, schedule: ScheduleConfig) -> bool:
    """Returns whether `schedule.stop_after` ends a training."""
    if best is None or not schedule.stop_after:
        return False
    return best.looks >= schedule.stop_after


def going_on(
    position: Position, schedule: ScheduleConfig, extended: bool
) -> Position:
    """Returns where a training goes on, its best look as the schedule wants.

    Args:
        extended: it has a new schedule from here on: one that had stopped
            gets as many looks again.
    """
    best = position.best
    if best is not None and best.figure != schedule.best:
        best = None
    if best is not None and extended and is_over(best, schedule):
        best = replace(best, looks=0)
    return replace(position, best=best)
