"""Convolution whose kernel learns fast on small maps, in bfloat16 on a CPU.

oneDNN sums a kernel's gradient along the rows of the map, so a row of 3 or 7
leaves most of each AMX or AVX-512 tile empty. As one product of matrices for
each place of the kernel it takes 0.1 to 0.7 times as long on maps of up to 14
pixels (BENCHMARKS.md). In float32 only the smallest maps gain, and little; on a
GPU it was not tried.
"""

from __future__ import annotations

import keras
import tensorflow as tf

# Measured: wider maps, or thinner features, gain nothing.
_WIDEST = 14
_LEAST_PRODUCTS = 64 * 128


@keras.saving.register_keras_serializable(package="tagforest")
class Conv2D(keras.layers.Conv2D):
    """Keras' layer; its kernel's gradient is summed in another order.

    Of the same name, by which files of weights know a layer.
    """

    def call(self, inputs, training=None):
        """Returns [batch, height, width, filters]."""
        if not (training and self.is_small(inputs.shape)):
            return super().call(inputs)
        inputs = tf.cast(inputs, self.compute_dtype)
        kernel = tf.cast(self.kernel, self.compute_dtype)
        return _convolve(inputs, kernel, self.strides[0], self.padding)

    def is_small(self, shape: tuple[int | None, ...]) -> bool:
        """Whether products pay for inputs of [batch, height, width, channels].

        And whether the layer is of the plain kind that they are written for.
        """
        width = shape[1] and -(-shape[1] // self.strides[0])
        return (
            self.compute_dtype == "bfloat16"
            and not tf.config.list_logical_devices("GPU")
            and (self.use_bias, self.activation.__name__) == (False, "linear")
            and self.data_format == "channels_last"
            and len({*self.kernel_size}) == len({*self.strides}) == 1
            and self.dilation_rate == (1, 1)
            and self.kernel_size > (1, 1)
            and shape[1] == shape[2]
            and width is not None
            and width <= _WIDEST
            and shape[3] * self.filters >= _LEAST_PRODUCTS
        )


def _convolve(inputs: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str):
    options = {"strides": [1, stride, stride, 1], "padding": padding.upper()}

    def gradients(wanted):
        # As TensorFlow names its own: `image_cost` tells both passes apart.
        with tf.name_scope("gradient_tape/conv/"):
            to_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(inputs),
                filter=kernel,
                out_backprop=wanted,
                **options,
            )
            size, padded = kernel.shape[0], inputs
            if padding == "same":
                padded = _pad(inputs, size, stride, wanted.shape[1])
            return to_inputs, kernel_gradient(padded, wanted, size, stride)

    @tf.custom_gradient
    def convolve(inputs, kernel):
        return tf.nn.conv2d(inputs, kernel, **options), gradients

    return convolve(inputs, kernel)


def _pad(inputs: tf.Tensor, size: int, stride: int, width: int) -> tf.Tensor:
    """Pads as TensorFlow's "SAME" does."""
    rest = max((width - 1) * stride + size - inputs.shape[1], 0)
    sides = (rest // 2, rest - rest // 2)
    return tf.pad(inputs, [(0, 0), sides, sides, (0, 0)])


def kernel_gradient(
    inputs: tf.Tensor, wanted: tf.Tensor, size: int, stride: int
) -> tf.Tensor:
    """Returns the gradient of a square kernel, a product for each place.

    Args:
        inputs: [batch, height, width, channels], padded as they need.
        wanted: the outputs' gradient [batch, rows, columns, filters].
        size: rows and columns of the kernel.
        stride: of the convolution, along both.

    Returns:
        [size, size, channels, filters]: at (i, j) the sum over the batch and
        the map of inputs[b, y * stride + i, x * stride + j, :] times
        wanted[b, y, x, :].
    """
    rows, columns, filters = wanted.shape[1:]
    channels = inputs.shape[3]
    flat = tf.reshape(wanted, [-1, filters])
    phases = _phases(inputs, stride, rows + (size - 1) // stride)
    products = []
    for place in range(size * size):
        (top, i), (left, j) = (divmod(p, stride) for p in divmod(place, size))
        seen = phases[i][j][:, top : top + rows, left : left + columns]
        seen = tf.reshape(seen, [-1, channels])
        products.append(tf.matmul(seen, flat, transpose_a=True))
    return tf.reshape(tf.stack(products), [size, size, channels, filters])


def _phases(inputs: tf.Tensor, stride: int, side: int):
    """Splits by row and column modulo the stride: strided slices crawl."""
    if stride == 1:
        return [[inputs]]
    height, width, channels = inputs.shape[1:]
    inputs = inputs[:, : side * stride, : side * stride]
    below, right = (max(side * stride - n, 0) for n in (height, width))
    inputs = tf.pad(inputs, [(0, 0), (0, below), (0, right), (0, 0)])
    split = tf.reshape(inputs, [-1, side, stride, side, stride, channels])
    return tf.transpose(split, [2, 4, 0, 1, 3, 5])
