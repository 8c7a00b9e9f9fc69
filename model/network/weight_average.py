"""An exponential moving average of the weights, beside those that train.

After each step, of the trained weights w, with t the steps before it:

    a <- a + (1 - m_t) (w - a),    m_t = min(m, (1 + t) / (10 + t))

The warm-up is that of TensorFlow's `ExponentialMovingAverage`
(https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).
Keras' `use_ema` has none, puts the average in the place of the weights at the
end of each call of its `fit`, and sees the head's columns of old classes
before they are put back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
from keras import ops


def momentum_at(momentum: float, step):
    """Returns m_t, float32, of the step that so many came before.

    Example:
        >>> [round(float(momentum_at(0.9, t)), 2) for t in (0, 2, 1000)]
        [0.1, 0.25, 0.9]
    """
    step = ops.cast(step, "float32")
    return ops.minimum(momentum, (1.0 + step) / (10.0 + step))


class WeightAverage:
    """The average of some weights; of the rest there is none.

    It lies among the optimizer's variables: a checkpoint has it, and the
    final weights do not have both. While it is shown, it has the weights'
    place and they its.

    Args:
        optimizer: built, its variables not loaded yet.
        weights: Keras variables that train.
        momentum: m.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        weights: Sequence[keras.Variable],
        momentum: float,
    ):
        self.momentum = momentum
        self._optimizer = optimizer
        self._pairs = [
            (w, optimizer.add_variable_from_reference(w, "average"))
            for w in weights
        ]
        self._is_shown = False

    def begin(self) -> None:
        """Begins with the weights as they are."""
        for weight, average in self._pairs:
            average.assign(weight.value)

    def go_on(self) -> None:
        """Goes on with what a checkpoint has, which was saved when shown."""
        self._swap()

    def update(self) -> None:
        """Takes in the weights after a step of the optimizer, in its graph."""
        # The optimizer has counted it already.
        share = 1.0 - momentum_at(self.momentum, self._optimizer.iterations - 1)
        for weight, average in self._pairs:
            # So written, a weight that stays has its own bits as average.
            change = share * (weight.value - average.value)
            average.assign(average.value + change)

    def show(self) -> None:
        """Gives the average the place of the weights, for good."""
        if not self._is_shown:
            self._swap()
            self._is_shown = True

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Gives the average the place of the weights meanwhile."""
        before = self._is_shown
        self.show()
        try:
            yield
        finally:
            if not before:
                self._swap()
                self._is_shown = False

    def _swap(self) -> None:
        for weight, average in self._pairs:
            held = ops.copy(weight.value)
            weight.assign(average.value)
            average.assign(held)
