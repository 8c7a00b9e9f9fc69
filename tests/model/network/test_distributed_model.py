"""Tests of model.network.distributed_model with a model that is no tagger."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model.network.distributed_model import (
    DistributedModel,
    calls_of_fit,
)

BATCH, FEATURES, CLASSES, STEPS = 8, 6, 3, 5


class Classifier(DistributedModel):
    """Softmax regression on normalized features."""

    def __init__(self, dropout=0.0, synchronized=True, **options):
        super().__init__(seed=3, **options)
        kind = keras.layers.BatchNormalization
        self.norm = kind(synchronized=synchronized)
        self.norm.build((None, FEATURES))
        self.dropout = keras.layers.Dropout(dropout)
        self.head = keras.layers.Dense(CLASSES)
        self.head.build((None, FEATURES))
        self.built = True

    def call(self, rows, training=False):
        rows = self.norm(rows, training=training)
        return self.head(self.dropout(rows, training=training))

    def step_loss(self, plan, rows, labels):
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, self(rows, training=True), from_logits=True
        )
        return tf.reduce_mean(losses)

    def update_metrics(self, data):
        rows, labels = data
        hits = tf.argmax(self(rows), axis=1) == tf.cast(labels, tf.int64)
        self.loss_mean.update_state(tf.cast(hits, tf.float32))


def numbers():
    """Returns rows [steps, batch, features] and the class of each."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(STEPS, BATCH, FEATURES)).astype(np.float32)
    return rows, rows[..., :CLASSES].argmax(-1).astype(np.int32)


def data_from(strategy, epoch, step, end):
    """Returns the batches from a step on; each epoch has the same."""

    def make(context):
        rows = tf.data.Dataset.from_tensor_slices(numbers()).repeat()
        rows = rows.skip(epoch * STEPS + step).unbatch()
        return rows.batch(BATCH // context.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(make)


class Steps(keras.callbacks.Callback):
    """Keeps what callbacks hear."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_train_begin(self, logs=None):
        self.heard.append("begin")

    def on_train_end(self, logs=None):
        self.heard.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.heard.append(f"epoch {epoch}")

    def on_train_batch_begin(self, batch, logs=None):
        self.heard.append(f"from {batch}")

    def on_train_batch_end(self, batch, logs=None):
        done = int(self.model.optimizer.iterations.numpy())
        self.heard.append(f"to {batch}, {done}")


def make_model(strategy, steps_per_execution=1, **options):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = Classifier(**options)
        # Clipped, which Keras does before it sums over the replicas.
        optimizer = keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.3)
        optimizer.build(model.trainable_variables)
        model.compile(
            optimizer=optimizer,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
        )
    return model


def trained(strategy, epochs=2, callbacks=(), **options):
    model = make_model(strategy, **options)
    model.fit(
        data_from(strategy, 0, 0, epochs),
        epochs=epochs,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=list(callbacks),
    )
    return model


def weights(model):
    return [w.numpy() for w in model.weights]


def assert_equal(one, two, tolerance=1e-5):
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=tolerance)


@pytest.fixture(name="one", scope="module")
def fixture_one():
    """Returns the model after two epochs on one device."""
    return trained(tf.distribute.get_strategy())


def test_it_learns(one):
    fresh = make_model(tf.distribute.get_strategy())
    data = tf.data.Dataset.from_tensor_slices(numbers())
    right, before = (m.evaluate(data, verbose=0) for m in (one, fresh))
    assert right > 0.8 > before


def test_two_replicas_equal_one(one, two_replicas):
    two = trained(two_replicas)
    assert_equal(one, two)
    data = data_from(two_replicas, 0, 0, 1)
    found = two.evaluate(data, steps=STEPS, verbose=0, return_dict=True)
    data = tf.data.Dataset.from_tensor_slices(numbers())
    expected = one.evaluate(data, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected["loss"])


def test_replicas_that_normalize_apart_share_their_averages(two_replicas):
    two = trained(two_replicas, epochs=1, synchronized=False)
    for average in two.norm.non_trainable_weights:
        values = two_replicas.experimental_local_results(average.value)
        np.testing.assert_array_equal(*values)


def test_parts_on_two_replicas_equal_those_on_one(two_replicas):
    options = {"accumulation_steps": 2}
    one = trained(tf.distribute.get_strategy(), **options)
    assert_equal(one, trained(two_replicas, **options))


def test_several_steps_an_execution_on_two_replicas(one, two_replicas):
    steps = Steps()
    two = trained(two_replicas, steps_per_execution=3, callbacks=[steps])
    assert_equal(one, two)
    epoch = ["from 0", "to 2, {}", "from 3", "to 4, {}"]
    heard = ["begin", "epoch 0", *epoch, "epoch 1", *epoch, "end"]
    done = iter([3, 5, 8, 10])
    heard = [h.format(next(done)) if "{}" in h else h for h in heard]
    assert steps.heard == heard
    data = data_from(two_replicas, 0, 0, 1)
    two.evaluate(data, steps=STEPS, verbose=0)
    assert two.steps_per_execution == 3


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_a_training_goes_on_within_an_epoch(tmp_path, steps_per_execution):
    strategy = tf.distribute.get_strategy()
    options = {
        "dropout": 0.5,
        "steps_per_execution": steps_per_execution,
    }
    whole = trained(strategy, epochs=3, **options)
    broken = make_model(strategy, **options)
    settings = {"steps_per_epoch": 2, "verbose": 0}
    broken.fit(data_from(strategy, 0, 0, 1), **settings)
    broken.save_weights(tmp_path / "broken.weights.h5")

    model, steps = make_model(strategy, **options), Steps()
    model.load_weights(tmp_path / "broken.weights.h5")
    model.fit(
        lambda *place: data_from(strategy, *place),
        epochs=3,
        initial_step=2,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=[steps],
    )
    assert_equal(whole, model, 0.0)
    assert steps.heard[:3] == ["begin", "epoch 0", "from 2"]
    assert steps.heard[-2:] == ["to 4, 15", "end"]
    assert steps.heard.count("begin") == steps.heard.count("end") == 1
    assert "to 4, 5" in steps.heard and "from 0" in steps.heard


@pytest.mark.parametrize(("steps_per_execution", "left"), [(1, 2), (2, 3)])
def test_data_that_end_early_end_the_training(
    two_replicas, steps_per_execution, left
):
    def make(context):
        rows = tf.data.Dataset.from_tensor_slices(numbers()).unbatch()
        # One epoch and three steps of the next.
        rows = rows.repeat().take(8 * BATCH)
        return rows.batch(BATCH // context.num_replicas_in_sync, True)

    with two_replicas.scope():
        model = Classifier()
        model.compile("sgd", steps_per_execution=steps_per_execution)
    data = two_replicas.distribute_datasets_from_function(make)
    steps = Steps()
    with pytest.raises(InputError, match=f"ended {left} steps before the"):
        model.fit(
            data, epochs=2, steps_per_epoch=STEPS, verbose=0, callbacks=[steps]
        )
    # No callback takes the second epoch for one that is over.
    assert "epoch 1" in steps.heard
    assert "end" not in steps.heard


def test_calls_of_a_training():
    assert list(calls_of_fit(0, 0, 3)) == [(0, 0, 3)]
    assert list(calls_of_fit(2, 1, 3)) == [(2, 1, 3)]
    assert list(calls_of_fit(1, 1, 3)) == [(1, 1, 2), (2, 0, 3)]
    assert list(calls_of_fit(3, 0, 3)) == []
