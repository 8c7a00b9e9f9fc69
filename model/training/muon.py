"""Muon: momentum whose matrices are orthogonalised before each step.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/: all directions
of a kernel learn at one rate, the rare ones too. AdamW learns the rest.
"""

from __future__ import annotations

import keras
from keras import ops

# Whose kernels make logits, distances or masks (`model.network`).
OUTPUT_LAYERS = ("head", "logits", "classes", "quality", "distances")
# Of the published code: they bring singular values of 0.01 to 1 near 1 soonest.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# What keeps a gradient of zeros at zeros.
_EPSILON = 1e-7


def orthogonalized(matrix, iterations: int = 5):
    """Returns U S' V^T of a matrix U S V^T, S' about 0.7 to 1.2.

    A quintic Newton-Schulz iteration (section "Muon design" of the above).

    Args:
        matrix: float [rows, columns].
        iterations: of three products of matrices each.
    """
    rows, columns = matrix.shape
    # The smaller side is squared.
    x = ops.transpose(matrix) if rows > columns else matrix
    x = x / (ops.norm(x) + _EPSILON)
    a, b, c = _COEFFICIENTS
    for _ in range(iterations):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.transpose(x) if rows > columns else x


def is_hidden_kernel(path: str, shape: tuple[int, ...]) -> bool:
    """Returns whether a variable is a matrix between hidden layers.

    Example:
        >>> is_hidden_kernel("stem_conv/kernel", (3, 3, 3, 32))
        True
        >>> is_hidden_kernel("head/kernel", (256, 1000))
        False
    """
    *_, layer, name = ("", *path.split("/"))
    return (
        name == "kernel"
        and layer not in OUTPUT_LAYERS
        and len(shape) in (2, 4)
        # Of convolutions a channel (depthwise) it is none.
        and shape[-1] > 1
    )


@keras.saving.register_keras_serializable(package="tagforest")
class Muon(keras.optimizers.AdamW):
    """Muon of hidden kernels, AdamW of all else at a tenth of the rate.

    A kernel [height, width, inputs, outputs] is the matrix
    [height * width * inputs, outputs]. Its step is the rate times
    max(1, rows / columns)^0.5 times the orthogonalised Nesterov momentum,
    whatever the size of the gradients: 0.02 is a good rate, and `weight_decay`
    takes that part of it a step.

    Not Keras' own (3.12): it fails with TensorFlow, which hands it variables
    without a path, leaves kernels of 4 dimensions to AdamW, and takes in the
    head.

    Args:
        momentum: of the kernels' gradients.
        matrix_dtype: of the products that orthogonalise: bfloat16 does, as in
            the published code, in half the time where a CPU computes in it.
    """

    adam_rate = 0.1

    def __init__(
        self,
        learning_rate=0.02,
        momentum=0.95,
        matrix_dtype="float32",
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.momentum, self.matrix_dtype = momentum, matrix_dtype

    def build(self, variables):
        # Not Adam's, which keeps a second moment of each.
        super(keras.optimizers.Adam, self).build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")
        hidden = [is_hidden_kernel(v.path, v.shape) for v in variables]
        self._velocities = [
            None if h else self.add_variable_from_reference(v, "velocity")
            for v, h in zip(variables, hidden, strict=True)
        ]

    def update_step(self, gradient, variable, learning_rate):
        place = self._get_variable_index(variable)
        if self._velocities[place] is not None:
            rate = self.adam_rate * learning_rate
            return super().update_step(gradient, variable, rate)
        momentum = self._momentums[place]
        self.assign(momentum, self.momentum * momentum + gradient)
        ahead = gradient + self.momentum * momentum
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        rows, columns = matrix.shape
        rate = learning_rate * max(1.0, rows / columns) ** 0.5
        matrix = orthogonalized(ops.cast(matrix, self.matrix_dtype))
        step = rate * ops.cast(matrix, variable.dtype)
        self.assign_sub(variable, ops.reshape(step, variable.shape))

    def get_config(self):
        own = {"momentum": self.momentum, "matrix_dtype": self.matrix_dtype}
        return {**super().get_config(), **own}
