"""A Keras model whose `fit` is right on any number of replicas and workers.

`DistributedModel` cures what Keras 3 (3.12 to 3.15) does wrong there:

1. Under MultiWorkerMirroredStrategy `fit` builds the model by reducing a
   distributed batch outside of a replica ("convert a value (PerReplica) to a
   Tensor", https://github.com/keras-team/keras/issues/20585).
2. It reduces a step's logs along axis 0, which scalars lack ("Invalid
   reduction dimension 0", https://github.com/tensorflow/tensorflow/issues/72388).
3. Several steps an execution fail on several replicas: the loop around the
   step has conditions, which no replica may talk across ("must feed a value
   for placeholder", https://github.com/keras-team/keras/issues/19246). And
   executions are whole: an epoch of 10 steps by 4 has 12.
4. Callbacks hear of a last step that the epoch does not have
   (https://github.com/keras-team/keras/issues/20861).
5. Accumulation of gradients is a condition around the optimizer, which fails
   on several replicas (https://github.com/keras-team/keras/issues/20582); its
   loss would see a part of a batch at a time, too (see `accumulation`).
6. Gradients are summed over the replicas after they are clipped, and after
   loss scaling has looked for infinities: each replica clips by its own norm
   (https://github.com/tensorflow/tensorflow/issues/33929).
7. Dropout's state is not saved: a training that goes on draws other numbers
   (https://github.com/keras-team/keras/issues/19796).
8. Moving averages of batch normalization stay with each replica, so that
   workers end with different weights.
9. All epochs of a `fit` have the same steps: it cannot go on within one.
10. A `fit` that fails leaves its iterator to Python's garbage collector, which
   may run in a thread of that very iterator: it waits for itself for ever.
11. Data that end early end the epoch with a warning, as if it were over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from beam_jobs.errors import InputError
from model.network import accumulation, replicas
from model.network.leaf_layers import leaves
from model.network.step_watch import StepWatch

# What a training step tells of itself.
STEP_LOGS = ("loss", "gradient_norm")
# Iterators whose threads may still run (cure 10).
_BROKEN_OFF: list[Any] = []


class DistributedModel(keras.Model):
    """The training step and `fit`; subclasses say what is computed in them.

    They build all their layers in their constructor, and override
    `step_loss`; `plan_step`, `regularized` and `update_metrics` where they
    differ.

    Args:
        accumulation_steps: parts that a replica's batch goes through the
            network in, one after the other.
        pack_bytes: see `replicas.sum_over_replicas`.
        compile_network: XLA compiles the forward and backward pass.

    Attributes:
        loss_mean: over the images of the epoch so far.
        watch: the last steps, and whether a worker asks to stop.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        accumulation_steps: int = 1,
        pack_bytes: int = 0,
        compile_network: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.seed, self.pack_bytes = seed, pack_bytes
        self.accumulation_steps = accumulation_steps
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.watch = StepWatch()
        self._executions = _Executions(self)
        self._gradients = self._loss_and_gradients
        if compile_network:
            self._gradients = compiled(self._gradients)

    def plan_step(self, data) -> tuple[Any, tuple[tf.Tensor, ...]]:
        """Looks at this replica's batch before its step.

        Here the replicas may talk to each other.

        Args:
            data: of one batch, as the data set yields it.

        Returns:
            What `step_loss` needs to know of the whole batch, and the
            tensors [batch, ...] whose rows it gets.
        """
        return None, tuple(data)

    def step_loss(self, plan, *rows: tf.Tensor) -> tf.Tensor:
        """Returns the mean loss of some rows, a scalar; differentiated."""
        raise NotImplementedError

    def regularized(self, gradients: list, weights: list) -> list:
        """Returns the gradients, with those of a regularization added."""
        return gradients

    def apply_gradients(self, gradients: list, weights: list) -> None:
        """Changes the weights."""
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def update_metrics(self, data) -> None:
        """Updates `metrics` by one batch of an evaluation."""
        raise NotImplementedError

    @property
    def metrics(self):
        return [self.loss_mean]

    def train_step(self, data):
        self._seed_dropout()
        plan, rows = self.plan_step(data)
        weights = self.trainable_variables
        # Cure 5, keras#20582: parts in a step. Each replica gives its share.
        loss, gradients = accumulation.mean_over_parts(
            lambda *part: self._gradients(plan, *part),
            rows,
            self.accumulation_steps,
            weights,
            unrolled=replicas.num_replicas() > 1 and self._replicas_talk(),
        )
        # Cure 6, tensorflow#33929.
        gradients = replicas.sum_over_replicas(gradients, self.pack_bytes)
        self.apply_gradients(self.regularized(gradients, weights), weights)
        loss, norm = self.watch.update(
            loss, gradients, self._averaged(), self.optimizer
        )
        self.loss_mean.update_state(loss, sample_weight=tf.shape(rows[0])[0])
        return _logs({"loss": self.loss_mean.result(), "gradient_norm": norm})

    def test_step(self, data):
        self.update_metrics(data)
        return _logs({m.name: m.result() for m in self.metrics})

    def _loss_and_gradients(self, plan, *rows):
        with tf.GradientTape() as tape:
            loss = self.step_loss(plan, *rows)
            scaled = self.optimizer.scale_loss(loss / replicas.num_replicas())
        return loss, tape.gradient(scaled, self.trainable_variables)

    def _seed_dropout(self):
        """Lets dropout follow from (seed, step, replica): cure 7."""
        kind = keras.layers.Dropout
        found = [la for la in leaves(self) if isinstance(la, kind)]
        for place, layer in enumerate(la for la in found if la.rate):
            # Each part of the batch draws once, and each layer its own.
            draw = replicas.own_number(self.optimizer.iterations)
            draw *= self.accumulation_steps
            seed = tf.constant(self.seed + place, draw.dtype)
            layer.seed_generator.state.assign(tf.stack([seed, draw]))

    def _replicas_talk(self) -> bool:
        """Whether they do within the network."""
        return any(getattr(la, "synchronized", False) for la in leaves(self))

    def _averaged(self) -> list:
        """Returns what layers learn from their rows alone: cure 8."""
        # Not the model's own, which all replicas compute alike.
        learn = [la for la in leaves(self) if la.trainable]
        return [w for la in learn for w in la.non_trainable_weights]

    def compile(self, *args, **options):
        super().compile(*args, **options)
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if inner is not None:
            # Cure 6: Keras would sum them a second time. Not a subclass, so
            # that any optimizer will do.
            inner._all_reduce_sum_gradients = list

    def make_train_function(self, force=False):
        # Cure 3: Keras asks for the function once a fit, we choose once a call.
        if self.train_function is None or force:
            self._executions.forget()
            self.train_function = self._executions

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing, cure 1 (keras#20585): all is built already."""

    def fit(
        self,
        x,
        *,
        epochs=1,
        initial_epoch=0,
        initial_step=0,
        steps_per_epoch=None,
        callbacks=None,
        verbose="auto",
        **options,
    ):
        """As Keras', but goes on within an epoch, too (cures 4 and 9).

        Args:
            x: the data; with `steps_per_epoch` also a function that makes it
                from the first epoch, its first step, and the epoch to end
                before.
            initial_step: steps of the first epoch that are behind.
        """
        options = {"epochs": epochs, "verbose": verbose, **options}
        if steps_per_epoch is None:
            self._executions.start(None)
            options["initial_epoch"] = initial_epoch
            return super().fit(x, callbacks=callbacks, **options)
        shown = {"verbose": verbose, "epochs": epochs, "steps": steps_per_epoch}
        seen = _OneTraining(callbacks, True, verbose != 0, self, **shown)
        calls = calls_of_fit(initial_epoch, initial_step, epochs)
        for first, step, end in calls:
            # Cure 9: the rest of a broken epoch is an epoch of fewer steps.
            seen.first_step = step
            seen.ends = end == epochs
            self._executions.start(steps_per_epoch - step)
            with self._executions.outlived():
                super().fit(
                    x(first, step, end) if callable(x) else x,
                    initial_epoch=first,
                    steps_per_epoch=steps_per_epoch - step,
                    callbacks=seen,
                    **{**options, "epochs": end},
                )
            if self.stop_training:
                break
            seen.begins = False
        return self.history

    def evaluate(self, *args, **kwargs):
        """As Keras', one step an execution: its loop would fail (cure 3).

        With the data set that `fit` keeps it would be in its iterator, too.
        """
        kwargs.pop("_use_cached_eval_dataset", None)
        wanted, self.steps_per_execution = self.steps_per_execution, 1
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.steps_per_execution = wanted


def compiled(function: Callable) -> Callable:
    """Returns a function that XLA compiles."""
    return tf.function(function, jit_compile=True, autograph=False)


def calls_of_fit(
    epoch: int, step: int, epochs: int
) -> Iterator[tuple[int, int, int]]:
    """Yields first epoch, its first step, and the epoch to end before.

    Example:
        >>> list(calls_of_fit(1, 20, 4))
        [(1, 20, 2), (2, 0, 4)]
    """
    if step:
        yield epoch, step, epoch + 1
        epoch += 1
    if epoch < epochs:
        yield epoch, 0, epochs


class _OneTraining(keras.callbacks.CallbackList):
    """Shows callbacks one training, whatever calls of Keras' fit it takes.

    It begins and ends once, and steps count from the beginning of an epoch to
    its last: Keras counts as if each execution did all its steps.
    """

    begins = ends = True
    first_step = 0

    def on_train_begin(self, logs=None):
        if self.begins:
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        if self.ends or self.model.stop_training:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.first_step, logs)

    def on_train_batch_end(self, batch, logs=None):
        # Cure 4, keras#20861.
        last = min(batch + self.first_step, self.params["steps"] - 1)
        super().on_train_batch_end(last, logs)


class _Executions:
    """The train function: `steps_per_execution` steps a call (cure 3).

    Keras' own for one step. For more the loop is here, and the last call of
    an epoch has the steps that are left, while the data goes on from epoch to
    epoch. The logs are those after the last step of a call.

    No attribute of the model holds the functions: Keras would track them.
    """

    def __init__(self, model: DistributedModel):
        self._model = model
        self._functions: dict[int, Callable] = {}
        self._iterator: Any = None
        self.start(None)

    def forget(self) -> None:
        """Drops what is compiled."""
        self._functions = {}

    def start(self, steps: int | None) -> None:
        """Begins a `fit` of epochs with so many steps; None: by ones."""
        self._epoch, self._done = steps, 0

    @contextlib.contextmanager
    def outlived(self) -> Iterator[None]:
        """Keeps the iterator of a fit that fails (cure 10)."""
        try:
            yield
        except BaseException:
            _BROKEN_OFF.append(self._iterator)
            raise
        finally:
            self._iterator = None

    def __call__(self, iterator):
        self._iterator = iterator
        steps = self._model.steps_per_execution
        if self._epoch is not None:
            steps = min(steps, self._epoch - self._done % self._epoch)
        self._done += steps
        # At most two: whole executions, and the rest of an epoch.
        if steps not in self._functions:
            self._functions[steps] = self._make(steps)
        try:
            return self._functions[steps](iterator)
        except tf.errors.OutOfRangeError as error:
            if self._epoch is None:
                raise
            # Cure 11.
            left = self._epoch - (self._done - steps) % self._epoch
            raise InputError(
                f"the training data ended {left} steps before the epoch: the "
                "data set has fewer images than it says; copy it anew, and see "
                "that nothing else writes it"
            ) from error

    def _make(self, steps: int) -> Callable:
        model = self._model
        if model.steps_per_execution > 1:
            return _loop(model, STEP_LOGS, steps)
        keras.Model.make_train_function(model, force=True)
        made, model.train_function = model.train_function, self
        return made


def _loop(model: keras.Model, names: Sequence[str], steps: int) -> Callable:
    strategy = model.distribute_strategy

    @tf.autograph.experimental.do_not_convert
    def one_step(iterator):
        # Without the conditions of Keras' own (keras#19246): the data never
        # ends within an epoch.
        logs = strategy.run(model.train_step, args=(next(iterator),))
        means = [strategy.reduce("MEAN", logs[n], axis=None) for n in names]
        return tuple(means)

    @tf.function(reduce_retracing=True, autograph=False)
    def run(iterator):
        _, *logs = tf.while_loop(
            lambda step, *_: step < steps,
            lambda step, *_: (step + 1, *one_step(iterator)),
            (tf.constant(0), *(tf.zeros([1]) for _ in names)),
            # A step begins with the weights of the one before.
            parallel_iterations=1,
        )
        return dict(zip(names, logs, strict=True))

    return run


def _logs(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns scalars with an axis to be reduced along: cure 2."""
    return {name: tf.reshape(value, [1]) for name, value in values.items()}
