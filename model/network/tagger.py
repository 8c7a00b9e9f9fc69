"""The model that is trained: backbone, head of sigmoids, loss.

What Keras needs to train it on several replicas is in `distributed_model`.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.inputs import preprocessing
from model.loss_kinds import SOFTMAX
from model.losses.multi_label_loss import MultiLabelLoss
from model.losses.softmax_loss import SoftmaxLoss
from model.network import image_mixing, metrics, replicas
from model.network.distributed_model import compiled
from model.network.task_model import TaskModel

# Of the precision, recall and F1 during a training.
VALIDATION_K = 5
# XLA makes the loss slower below, on a CPU: 0.7 times at 258 classes, 1.7
# times at 11,166 (batch 64; 2.3 times at batch 256).
XLA_CLASSES = 1024


@keras.saving.register_keras_serializable(package="tagforest")
class Tagger(TaskModel):
    """Images to one logit a class.

    Input float32 [batch, size, size, 3] in [-1, 1] or uint8, output float32
    [batch, classes]: logits, of which `scores` makes the scores. `runs`,
    float32 [2, classes], is the state of the adaptive loss and is saved with
    the weights.

    Args:
        config: a Config, or its JSON text.
        classes: size of the vocabulary.
    """

    def __init__(self, config: Config | str, classes: int, **kwargs):
        super().__init__(config, classes, **kwargs)
        config = self.config
        part = config.schedule.jit_compile
        if part == "auto":
            part = "loss" if classes >= XLA_CLASSES else "none"
        self.one_class = config.loss.kind == SOFTMAX
        self.loss_fn = _loss(config)
        self._plan_loss = self.loss_fn.plan_loss
        if part == "loss":
            self._plan_loss = compiled(self._plan_loss)
        self.dropout = keras.layers.Dropout(
            config.network.dropout, seed=config.seed, name="dropout"
        )
        self.head = _head(config, classes)
        self.head.build(self.backbone.output_shape)
        self.runs = self.add_weight(
            name="runs",
            shape=(2, classes),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        # Positives of each class in the last global batch, to look at. Not
        # a weight: checkpoints do without.
        self.batch_positives = tf.Variable(
            tf.zeros([classes]),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.at_k = metrics.means_at_k(VALIDATION_K)
        if self.one_class:
            self.at_k = metrics.top_k_means()
        self._kept: np.ndarray | None = None
        self.built = True

    def call(self, images, training=False):
        return self.head(self.embed(images, training=training))

    def embed(self, images, training=False):
        """Returns the pooled features, float32 [batch, filters].

        What is of that shape already are features that were computed before.
        """
        features = images
        if len(images.shape) > 2:
            images = preprocessing.network_input(images)
            features = self.backbone(images, training=training)
            if self.config.network.mirrored and not training:
                mirrored = self.backbone(images[:, :, ::-1], training=False)
                features = (features + mirrored) / 2
        return self.dropout(features, training=training)

    @property
    def metrics(self):
        return [self.loss_mean, *self.at_k]

    def scores(self, logits):
        """Returns float32 [batch, classes]: each class's own probability.

        Of one class an image, with the loss softmax, they add up to 1.
        """
        logits = tf.cast(logits, tf.float32)
        return (tf.nn.softmax if self.one_class else tf.sigmoid)(logits)

    def set_prior(self, counts: np.ndarray, images: int) -> None:
        """Lets the untrained head predict each class's frequency.

        A class that no image has is taken to be in half an image. The
        positives' weight shifts what the loss asks for, and so the bias.

        Args:
            counts: [classes], images with each class, of `images`.
        """
        rate = np.clip(counts, 0.5, images - 0.5) / images
        if self.one_class:
            self.head.bias.assign(np.log(rate).astype(np.float32))
            return
        odds = self.loss_fn.switches.positive_weight * rate / (1.0 - rate)
        self.head.bias.assign(np.log(odds).astype(np.float32))

    def set_leaves(self, is_leaf: np.ndarray) -> None:
        """Tells the loss which classes have no child; before training.

        Args:
            is_leaf: bool [classes].
        """
        if self.config.loss.leaf_weight:
            self.loss_fn.is_leaf = np.asarray(is_leaf)

    def keep_classes(self, classes: Sequence[int]) -> None:
        """Lets the head's columns of some classes stay as they are."""
        self._kept = np.isin(np.arange(self.classes), classes)

    def apply_gradients(self, gradients, weights):
        if self._kept is None:
            return super().apply_gradients(gradients, weights)
        # Put back, since an optimizer's weight decay needs no gradient.
        before = [tf.identity(w.value) for w in self.head.weights]
        super().apply_gradients(gradients, weights)
        for weight, old in zip(self.head.weights, before, strict=True):
            weight.assign(tf.where(self._kept, old, weight.value))

    def plan_step(self, data):
        """Returns the plan of the loss, and images, targets and places.

        Coefficients and sampling follow from the global batch, so they are
        the same on all replicas (paper, section 3.1).
        """
        images, targets = data
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
        self.runs.assign(runs)
        if not self.config.data.mixes:
            return (plan, None), (images, targets, row_places)
        # Of the whole batch: parts of a step have neither's partners.
        mixing = image_mixing.draw(
            self.config.data, self.config.seed, self.optimizer.iterations
        )
        images = preprocessing.network_input(images)
        images, share = image_mixing.mix(images, mixing)
        others = image_mixing.partners(targets)
        return (plan, share), (images, targets, row_places, others)

    def step_loss(self, plan, images, targets, row_places, others=None):
        plan, share = plan
        logits = self(images, training=True)
        loss = self._plan_loss(targets, logits, plan, row_places)
        if others is None:
            return loss
        # By the same class coefficients: a batch has the labels of both.
        partners = self._plan_loss(others, logits, plan, row_places)
        return share * loss + (1.0 - share) * partners

    def update_metrics(self, data):
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


def _loss(config: Config) -> MultiLabelLoss | SoftmaxLoss:
    kind = SoftmaxLoss if config.loss.kind == SOFTMAX else MultiLabelLoss
    return kind(config.loss)


def _head(config: Config, classes: int) -> keras.layers.Dense:
    # float32 whatever the network's precision: a sum over 11,166 classes of
    # losses near 0 needs its digits.
    return keras.layers.Dense(
        classes,
        kernel_initializer="zeros"
        if config.start.zero_head
        else "glorot_uniform",
        dtype="float32",
        name="head",
    )
