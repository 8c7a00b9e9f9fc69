"""Several training steps in one call from Python to TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf


class EpochCallbacks(keras.callbacks.CallbackList):
    """Tells callbacks the true number of an epoch's last step.

    Keras counts as if each call did all of its steps.
    """

    def on_train_batch_end(self, batch, logs=None):
        last = self.params["steps"] - 1
        super().on_train_batch_end(min(batch, last), logs)


class Executions:
    """The train function of a model: `steps_per_execution` steps a call.

    Keras' own for one step. For more, Keras has two defects: it fails with
    several replicas ("must feed a value for placeholder", Keras 3.12), and
    it runs whole calls only: an epoch of 10 steps in calls of 4 would have
    12, while data and schedule here go on from epoch to epoch. So that loop
    is here, and the last call of an epoch has the steps that are left.

    The logs are those after the last step of a call; callbacks hear of the
    first and the last step only.

    Args:
        model: compiled.
        names: the logs of its training step, all of shape (1,).
    """

    def __init__(self, model: keras.Model, names: Sequence[str]):
        self._model, self._names = model, tuple(names)
        self._functions: dict[int, Callable] = {}
        self.start(None)

    def forget(self) -> None:
        """Drops what is compiled."""
        self._functions = {}

    def start(self, steps_per_epoch: int | None) -> None:
        """Begins a `fit`.

        Args:
            steps_per_epoch: None is for one step a call only.
        """
        self._epoch = steps_per_epoch
        self._done = 0

    def __call__(self, iterator):
        steps = self._model.steps_per_execution
        if self._epoch is not None:
            steps = min(steps, self._epoch - self._done % self._epoch)
        self._done += steps
        if steps not in self._functions:
            self._functions[steps] = self._make(steps)
        return self._functions[steps](iterator)

    def _make(self, steps: int) -> Callable:
        if self._model.steps_per_execution == 1:
            return _keras_function(self._model)
        return _loop(self._model, self._names, steps)


def _keras_function(model: keras.Model) -> Callable:
    ours = model.train_function
    keras.Model.make_train_function(model, force=True)
    made, model.train_function = model.train_function, ours
    return made


def _loop(model: keras.Model, names: Sequence[str], steps: int) -> Callable:
    strategy = model.distribute_strategy

    @tf.autograph.experimental.do_not_convert
    def one_step(iterator):
        logs = strategy.run(model.train_step, args=(next(iterator),))
        means = [strategy.reduce("MEAN", logs[n], axis=None) for n in names]
        return tuple(means)

    @tf.function(reduce_retracing=True, autograph=False)
    def run(iterator):
        _, *logs = tf.while_loop(
            lambda step, *_: step < steps,
            lambda step, *_: (step + 1, *one_step(iterator)),
            (tf.constant(0), *(tf.zeros([1]) for _ in names)),
            parallel_iterations=1,
        )
        return dict(zip(names, logs, strict=True))

    return run
