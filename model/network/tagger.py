"""The model that is trained: backbone, head of sigmoids, loss."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.inputs import preprocessing
from model.losses.multi_label_loss import MultiLabelLoss
from model.network import accumulation, metrics, replicas
from model.network.executions import EpochCallbacks, Executions
from model.network.resnet import build_backbone
from model.network.step_watch import StepWatch

# What a training step tells of itself.
STEP_LOGS = ("loss", "gradient_norm")
# Of the precision, recall and F1 during a training.
VALIDATION_K = 5
# XLA makes the loss slower below, on a CPU: 0.7 times at 258 classes, 1.7
# times at 11,166 (batch 64; 2.3 times at batch 256).
XLA_CLASSES = 1024


@keras.saving.register_keras_serializable(package="tagforest")
class Tagger(keras.Model):
    """Images to one logit a class.

    Input float32 [batch, size, size, 3] in [-1, 1] or uint8, output float32
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
        kinds = (metrics.PrecisionAtK, metrics.RecallAtK, metrics.F1AtK)
        self.at_k = [kind(VALIDATION_K) for kind in kinds]
        self._compile_parts()
        self.executions = Executions(self, STEP_LOGS)
        self.watch = StepWatch()
        self.built = True

    def _compile_parts(self):
        """Lets XLA compile what `schedule.jit_compile` says."""
        part = self.config.schedule.jit_compile
        if part == "auto":
            part = "loss" if self.classes >= XLA_CLASSES else "none"
        self._plan_loss = self.loss_fn.plan_loss
        self._gradients = self._loss_and_gradients
        if part == "loss":
            self._plan_loss = _xla(self._plan_loss)
        elif part == "network":
            self._gradients = _xla(self._gradients)

    def call(self, images, training=False):
        return self.head(self.embed(images, training=training))

    def embed(self, images, training=False):
        """Returns the pooled features, float32 [batch, filters]."""
        images = preprocessing.network_input(images)
        features = self.backbone(images, training=training)
        return self.dropout(features, training=training)

    @property
    def metrics(self):
        return [self.loss_mean, *self.at_k]

    def fit(self, x, *, steps_per_epoch=None, callbacks=None, **options):
        """As Keras'; several steps an execution end with the epoch."""
        self.executions.start(steps_per_epoch)
        if self.steps_per_execution > 1 and steps_per_epoch:
            callbacks = EpochCallbacks(
                callbacks,
                add_history=True,
                model=self,
                epochs=options.get("epochs", 1),
                steps=steps_per_epoch,
            )
        return super().fit(
            x,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            **options,
        )

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self.executions.forget()
            self.train_function = self.executions

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

    def evaluate(self, *args, **kwargs):
        """As Keras', one step a call whatever the training does.

        Keras' loop of several steps fails with several replicas (see
        `Executions`); it would be in the iterator that `fit` keeps, too.
        """
        kwargs.pop("_use_cached_eval_dataset", None)
        wanted, self.steps_per_execution = self.steps_per_execution, 1
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.steps_per_execution = wanted

    def train_step(self, data):
        images, targets = data
        self._seed_dropout()
        plan, row_places, runs = self._plan(targets)
        # Each replica gives its share of the global batch's gradients.
        loss, gradients = accumulation.mean_over_parts(
            lambda *rows: self._gradients(plan, *rows),
            (images, targets, row_places),
            self.config.schedule.accumulation_steps,
            self.trainable_variables,
            unrolled=self.config.network.batch_norm_sync
            and replicas.num_replicas() > 1,
        )
        weights = self.trainable_variables
        gradients = replicas.sum_over_replicas(gradients)
        self.optimizer.apply_gradients(
            zip(self._decayed(gradients, weights), weights, strict=True)
        )
        # Equal on all replicas: it comes from the global batch.
        self.runs.assign(runs)
        loss, norm = self.watch.update(
            loss,
            gradients,
            self.backbone.non_trainable_variables,
            self.optimizer,
        )
        self.loss_mean.update_state(loss, sample_weight=tf.shape(images)[0])
        logs = _logs([self.loss_mean])
        return {**logs, "gradient_norm": replicas.as_log(norm)}

    def _seed_dropout(self):
        """Lets dropout follow from (seed, step): Keras saves no state of it."""
        if not self.dropout.rate:
            return
        # Each part of the batch draws once.
        parts = self.config.schedule.accumulation_steps
        draw = replicas.own_number(self.optimizer.iterations) * parts
        seed = tf.constant(self.config.seed, draw.dtype)
        self.dropout.seed_generator.state.assign(tf.stack([seed, draw]))

    def _plan(self, targets):
        """Returns the plan of the step, these rows' places, the new runs."""
        positives, negatives, total = replicas.global_counts(
            targets, self.config.data.unknown != "negative"
        )
        self.batch_positives.assign(positives)
        row_places, *draws = replicas.loss_draws(
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
            loss = self._plan_loss(targets, logits, plan, row_places)
            scaled = self.optimizer.scale_loss(loss / replicas.num_replicas())
        return loss, tape.gradient(scaled, self.trainable_variables)

    def test_step(self, data):
        """One batch (images, targets[, weights]) of an evaluation.

        Weights, float [batch], are 0 for images that only fill a batch.
        """
        images, targets, weights = (*data, None)[:3]
        logits = self(images, training=False)
        loss = self.loss_fn.call(targets, logits)
        self.loss_mean.update_state(loss, sample_weight=weights)
        for metric in self.at_k:
            # Logits rank as probabilities do, without ties at 0 and 1.
            metric.update_state(targets, logits, sample_weight=weights)
        return _logs(self.metrics)

    def _decayed(self, gradients, weights):
        """Adds the gradient of `weight_decay / 2 * |w|^2` for `sgd`."""
        schedule = self.config.schedule
        if schedule.optimizer != "sgd" or not schedule.weight_decay:
            return gradients
        rate = self.optimizer.scale_loss(schedule.weight_decay)
        normed = ("gamma", "beta")
        return [
            g if w.name in normed else g + tf.cast(rate * w, g.dtype)
            for g, w in zip(gradients, weights, strict=True)
        ]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: the constructor builds everything.

        See `distribution.as_log` for the defect behind it.
        """

    def get_config(self):
        return {"config": self.config.to_json(), "classes": self.classes}


def _logs(figures):
    return {m.name: replicas.as_log(m.result()) for m in figures}


def _xla(function):
    return tf.function(function, jit_compile=True, autograph=False)
