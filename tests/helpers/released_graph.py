"""The released ResNet as a TensorFlow 1 graph, written down a second time.

Only `tf.compat.v1.get_variable` and plain operations: `tf.compat.v1.layers`
would need Keras 2. See `models/resnet.py` of
https://github.com/Tencent/tencent-ml-images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


class ReleasedGraph:
    """The graph with random weights and statistics.

    Args:
        blocks: of each stage.
        filters: output channels of each stage.
    """

    def __init__(self, blocks=(1, 2, 1, 1), filters=(16, 32, 64, 128)):
        self.blocks, self.filters = blocks, filters
        self._random = np.random.default_rng(0)

    def save(
        self, prefix: Path, images: np.ndarray, classes: int, training=False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Writes a checkpoint; returns features and logits of the images.

        Args:
            training: the optimizer's and the loss' state is there, too.
        """
        with tf.Graph().as_default(), v1.Session() as session:
            features = self._features(tf.constant(images))
            kernel = self._variable(
                "logits/dense/kernel", (self.filters[-1], classes)
            )
            bias = self._variable("logits/dense/bias", (classes,))
            logits = features @ kernel + bias
            if training:
                self._training_state(classes)
            session.run(v1.global_variables_initializer())
            prefix.parent.mkdir(parents=True, exist_ok=True)
            v1.train.Saver().save(session, str(prefix), write_meta_graph=False)
            return session.run((features, logits))

    def _training_state(self, classes: int) -> None:
        self._variable("global_step", ())
        self._variable("logits/dense/bias/Momentum", (classes,))
        self._variable("Variable", (classes,))
        self._variable("Variable_1", (classes,))

    def _features(self, images):
        x = self._conv(images, "init/init_conv", 64, 7, 2)
        for stage, depth in enumerate(self.blocks):
            for block in range(depth):
                x = self._block(x, stage, block)
        x = self._norm_relu(x, "global_pool/bn")
        return tf.reduce_mean(x, axis=(1, 2))

    def _block(self, x, stage, block):
        scope = f"stages_{stage}_block_{block}"
        out, stride = self.filters[stage], 1 if block else 2
        shortcut = x
        if not block:
            shortcut = self._norm_relu(x, f"{scope}/conv1_b1_bn")
            shortcut = self._conv(shortcut, f"{scope}/conv1_b1", out, 1, stride)
        sizes = ((out // 4, 1, 1), (out // 4, 3, stride), (out, 1, 1))
        for position, (width, kernel, step) in enumerate(sizes, start=1):
            x = self._norm_relu(x, f"{scope}/conv{position}_b2_bn")
            x = self._conv(x, f"{scope}/conv{position}_b2", width, kernel, step)
        return shortcut + x

    def _conv(self, x, scope, out, kernel, stride):
        shape = (kernel, kernel, x.shape[-1], out)
        weights = self._variable(f"{scope}/conv2d/kernel", shape)
        if stride == 1:
            return tf.nn.conv2d(x, weights, 1, "SAME")
        before = (kernel - 1) // 2
        sides = (before, kernel - 1 - before)
        x = tf.pad(x, ((0, 0), sides, sides, (0, 0)))
        return tf.nn.conv2d(x, weights, stride, "VALID")

    def _norm_relu(self, x, scope):
        scope = f"{scope}/batch_normalization"
        names = ("moving_mean", "moving_variance", "beta", "gamma")
        mean, variance, beta, gamma = (
            self._variable(f"{scope}/{name}", x.shape[-1:]) for name in names
        )
        return tf.nn.relu(
            tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)
        )

    def _variable(self, name, shape):
        shape = tuple(int(size) for size in shape)
        values = self._random.normal(0, 1, shape)
        if name.endswith(("variance", "gamma")):
            # Different everywhere, or swapped ones would be found equal.
            values = self._random.uniform(0.5, 1.5, shape)
        elif name.endswith("kernel"):
            values *= np.sqrt(2 / np.prod(shape[:-1]))
        start = v1.constant_initializer(values.astype(np.float32))
        return v1.get_variable(name, shape, tf.float32, start)
