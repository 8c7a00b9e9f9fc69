"""Batch normalization whose training is one operation, not some twenty.

Keras 3 writes it out: casts to float32, moments, products, each a pass over
the features. TensorFlow's own operation (oneDNN on a CPU, cuDNN on a GPU) does
the same in two, and in bfloat16 without a copy in float32: 2 to 5 times as
fast, forwards and backwards, on a CPU (BENCHMARKS.md).
"""

from __future__ import annotations

import keras
import tensorflow as tf

# Below, cuDNN refuses it.
_LEAST_EPSILON = 1.001e-5


@keras.saving.register_keras_serializable(package="tagforest")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, its numbers up to rounding, for features with channels.

    Of the same name, by which files of weights know a layer. Statistics over
    all replicas (`synchronized`) and all but training are computed as Keras
    does.
    """

    def call(self, inputs, training=None, mask=None):
        """Returns [batch, height, width, channels], as `inputs`."""
        learns = training and self.trainable and mask is None
        if not learns or self.synchronized or self.epsilon < _LEAST_EPSILON:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon
        )
        # It gives the variance of what is estimated: / (count - 1).
        count = tf.cast(
            tf.size(inputs, tf.int64) / inputs.shape[-1], tf.float32
        )
        variance *= (count - 1.0) / count
        for kept, new in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            kept.assign(kept * self.momentum + new * (1.0 - self.momentum))
        return outputs
