"""The model that is trained: backbone, head of sigmoids, loss."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from beam_jobs import layout
from beam_jobs.errors import InputError
from beam_jobs.vocabulary import Vocabulary
from model import accumulation, distribution
from model.config import Config
from model.losses import MultiLabelLoss
from model.resnet import build_backbone
from model.workdir import CONFIG, WEIGHTS, latest_checkpoint


@keras.saving.register_keras_serializable(package="tagforest")
class Tagger(keras.Model):
    """Images to one logit a class.

    Input float32 [batch, size, size, 3] in [-1, 1], output float32
    [batch, classes]: logits; their sigmoids are the scores, softmax has no
    meaning here. `runs`, float32 [2, classes], is the state of the adaptive
    loss and is saved with the weights.

    Args:
        config: a Config, or its JSON text.
        classes: size of the vocabulary.
    """

    def __init__(self, config: Config | str, classes: int, **kwargs):
        super().__init__(**kwargs)
        if isinstance(config, str):
            config = Config.from_json(config)
        self.config = config
        self.classes = classes
        self.loss_fn = MultiLabelLoss(config.loss)
        self.backbone = build_backbone(config.network, config.data.image_size)
        self.dropout = keras.layers.Dropout(
            config.network.dropout, seed=config.seed, name="dropout"
        )
        self.head = keras.layers.Dense(classes, dtype="float32", name="head")
        self.head.build(self.backbone.output_shape)
        self.runs = self.add_weight(
            name="runs",
            shape=(2, classes),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.loss_mean = keras.metrics.Mean(name="loss")
        # Positives of each class in the last global batch, to look at. Not
        # a weight: checkpoints do without.
        self.batch_positives = tf.Variable(
            tf.zeros([classes]),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.built = True

    def call(self, images, training=False):
        return self.head(self.embed(images, training=training))

    def embed(self, images, training=False):
        """Returns the pooled features, float32 [batch, filters]."""
        features = self.backbone(images, training=training)
        return self.dropout(features, training=training)

    @property
    def metrics(self):
        return [self.loss_mean]

    def set_prior(self, counts: np.ndarray, images: int) -> None:
        """Lets the untrained head predict each class's frequency.

        A class that no image has is taken to be in half an image. The
        positives' weight shifts what the loss asks for, and so the bias.

        Args:
            counts: [classes], images with each class, of `images`.
        """
        rate = np.clip(counts, 0.5, images - 0.5) / images
        odds = self.loss_fn.switches.positive_weight * rate / (1.0 - rate)
        self.head.bias.assign(np.log(odds).astype(np.float32))

    def train_step(self, data):
        images, targets = data
        plan, row_places, runs = self._plan(targets)
        # Gradients are summed over the replicas: each gives its share.
        loss, gradients = accumulation.mean_over_parts(
            lambda *rows: self._loss_and_gradients(plan, *rows),
            (images, targets, row_places),
            self.config.schedule.accumulation_steps,
            self.trainable_variables,
        )
        weights = self.trainable_variables
        self.optimizer.apply_gradients(
            zip(self._decayed(gradients, weights), weights, strict=True)
        )
        # Equal on all replicas: it comes from the global batch.
        self.runs.assign(runs)
        distribution.average_over_replicas(
            self.backbone.non_trainable_variables
        )
        self.loss_mean.update_state(loss, sample_weight=tf.shape(images)[0])
        return {**self._logs(), **self._norm(gradients)}

    def _plan(self, targets):
        """Returns the plan of the step, these rows' places, the new runs."""
        positives, negatives, total = distribution.global_counts(
            targets, self.config.data.unknown != "negative"
        )
        self.batch_positives.assign(positives)
        row_places, *draws = distribution.loss_draws(
            self.config.seed, self.optimizer.iterations, total, targets
        )
        plan, runs = self.loss_fn.make_plan(
            positives, negatives, self.runs, draws
        )
        return plan, row_places, runs

    def _loss_and_gradients(self, plan, images, targets, row_places):
        """Returns the loss of some rows, and its scaled gradients."""
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self.loss_fn.plan_loss(targets, logits, plan, row_places)
            scaled = self.optimizer.scale_loss(
                loss / distribution.num_replicas()
            )
        return loss, tape.gradient(scaled, self.trainable_variables)

    def test_step(self, data):
        images, targets = data[:2]
        logits = self(images, training=False)
        loss = tf.reduce_mean(self.loss_fn.call(targets, logits))
        self.loss_mean.update_state(loss, sample_weight=tf.shape(images)[0])
        return self._logs()

    def _decayed(self, gradients, weights):
        """Adds the gradient of `weight_decay / 2 * |w|^2` for `sgd`."""
        schedule = self.config.schedule
        if schedule.optimizer != "sgd" or not schedule.weight_decay:
            return gradients
        rate = self.optimizer.scale_loss(
            schedule.weight_decay / distribution.num_replicas()
        )
        normed = ("gamma", "beta")
        return [
            g if w.name in normed else g + tf.cast(rate * w, g.dtype)
            for g, w in zip(gradients, weights, strict=True)
        ]

    def _norm(self, gradients):
        """Returns the gradient's norm for the logs.

        With several replicas it would cost a reduction: each only knows its
        share before the optimizer adds them up.
        """
        if distribution.num_replicas() > 1:
            return {}
        norm = tf.linalg.global_norm(gradients)
        norm /= tf.cast(self.optimizer.scale_loss(1.0), norm.dtype)
        return {"gradient_norm": distribution.as_log(norm)}

    def _logs(self):
        return {m.name: distribution.as_log(m.result()) for m in self.metrics}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: the constructor builds everything.

        See `distribution.as_log` for the defect behind it.
        """

    def get_config(self):
        return {"config": self.config.to_json(), "classes": self.classes}


def load_tagger(workdir: str | os.PathLike[str]) -> Tagger:
    """Returns the tagger that `train` left in a working directory.

    The final weights, or those of the last finished epoch while the training
    is not over.

    Raises:
        InputError: nothing has been trained there yet.
    """
    folder = Path(workdir)
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} holds no training (no {CONFIG}); `tagforest train "
            f"DATASET --workdir {folder}` makes one"
        )
    config = Config.from_json((folder / CONFIG).read_text(encoding="utf-8"))
    vocabulary = Vocabulary.load(folder / layout.VOCABULARY)
    weights = folder / WEIGHTS
    if not weights.is_file():
        found = latest_checkpoint(folder)
        if found is None:
            raise InputError(
                f"{folder} has no finished epoch yet; go on with `tagforest "
                f"train DATASET --workdir {folder}`"
            )
        weights = found.path
    tagger = Tagger(config, len(vocabulary))
    tagger.load_weights(weights)
    return tagger
