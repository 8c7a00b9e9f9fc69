"""The calls of Keras' fit that a training from a position consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras

from model.checkpoint_files import Position


@dataclass(frozen=True)
class Part:
    """One call of fit.

    Attributes:
        first_epoch, epochs: from, and up to but without.
        first_step: steps of the first epoch that are behind.
        steps: of each epoch in this call.
        begins, ends: whether the whole training does with this part.
    """

    first_epoch: int
    epochs: int
    first_step: int
    steps: int
    begins: bool
    ends: bool


def parts(position: Position, epochs: int, steps: int) -> Iterator[Part]:
    """Yields the rest of a broken epoch, and then the whole ones.

    fit's epochs all have the same number of steps.

    Example:
        >>> [(p.first_epoch, p.epochs, p.first_step, p.steps)
        ...  for p in parts(Position(step=4, epoch=1, batch=1), 4, 3)]
        [(1, 2, 1, 2), (2, 4, 0, 3)]
    """
    first, begins = position.epoch, True
    if position.batch:
        rest = steps - position.batch
        ends = first + 1 == epochs
        yield Part(first, first + 1, position.batch, rest, True, ends)
        first, begins = first + 1, False
    if first < epochs:
        yield Part(first, epochs, 0, steps, begins, True)


class PartCallbacks(keras.callbacks.CallbackList):
    """Lets callbacks see one training where fit is called for its parts.

    A training begins and ends once, and steps are counted from the true
    beginning of an epoch.

    Args:
        callbacks: of the training; Keras wants its History among them.
        model: that is trained.

    Attributes:
        part: of the coming call.
    """

    part: Part

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
    ):
        super().__init__(list(callbacks), model=model)

    def on_train_begin(self, logs=None):
        if self.part.begins:
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        if self.part.ends:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.part.first_step, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.part.first_step, logs)
