"""The adaptive part of the loss: class coefficients and kept negatives.

Stateless functions in `keras.ops` over classes. What they need from outside
comes as an argument: the positives of the *global* batch, the run lengths so
far, and the random numbers. `Tagger` owns the run lengths and draws.

The paper (Wu et al. 2019, section 3.1) and its released code differ; both
are here, under `LossConfig.kind`.
"""

from __future__ import annotations

import functools
import math
import operator

from keras import ops

from model.config import LossConfig

# Rows are added in so many parts first, as bytes: a fifth of the time. Eight
# ones are far from the 127 that a byte holds.
_PARTS = 8


def class_counts(chosen):
    """Returns how many images of the batch are chosen, float32 [classes].

    Args:
        chosen: bool [batch, classes].
    """
    rows = chosen.shape[0]
    chosen = ops.cast(chosen, "int8")
    if rows and rows % _PARTS == 0:
        size = rows // _PARTS
        parts = [chosen[i * size : (i + 1) * size] for i in range(_PARTS)]
        chosen = functools.reduce(operator.add, parts)
    return ops.sum(ops.cast(chosen, "float32"), axis=0)


def update_runs(runs, present, selected, kind: str):
    """Returns the run lengths after one more batch.

    Args:
        runs: float [2, classes]: batches in a row with a positive of the
            class, and without.
        present: float [classes]: 1 where the global batch has a positive.
        selected: float [classes]: 1 where a class without a positive is
            updated all the same.

    Returns:
        float [2, classes]. `released` counts only selected negative batches.
    """
    counted = selected if kind == "released" else 1.0
    absent = 1.0 - present
    return ops.stack([(runs[0] + 1.0) * present, (runs[1] + counted) * absent])


def class_coefficients(runs, present, selected, config: LossConfig):
    """Returns c_j, float [classes], for run lengths that `update_runs` gave.

    `paper`, with t the length of the present run of either kind:
    max(decay^(t-1), floor). `released`, with P and N the two lengths and
    max' = value if above the floor, else the floor:

        positive: max'(-log10((0.01 + P) / 10), 0.01)
        negative: max'(-log10((8 + N) / 10), 0.001)

    Any other kind: 1. A class without a positive counts only where selected.
    """
    if config.kind == "paper":
        # A decay of 0 is allowed; its logarithm is not.
        exponent = math.log(max(config.decay, 1e-30))
        # One of the two is 0: a class is in the batch or is not.
        run = ops.maximum(runs[0], runs[1])
        weight = ops.exp(exponent * (run - 1.0))
        weight = ops.maximum(weight, config.floor)
        positive, negative = weight, weight
    elif config.kind == "released":
        positive = _minus_log10(runs[0], config.positive_offset)
        positive = ops.maximum(positive, config.positive_floor)
        negative = _minus_log10(runs[1], config.negative_offset)
        negative = ops.maximum(negative, config.negative_floor)
    else:
        positive = negative = ops.ones_like(present)
    return present * positive + (1.0 - present) * selected * negative


def kept_fraction(positives, negatives, ratio: float):
    """Returns the part of each class's negatives to keep, float [classes].

    Args:
        positives, negatives: float [classes], of the global batch; unknown
            ones are neither.
        ratio: negatives a positive; classes without a positive keep all.
    """
    # A class without negatives keeps all there are: none.
    fraction = ratio * positives / ops.maximum(negatives, 1.0)
    fraction = ops.minimum(fraction, 1.0)
    return ops.where(positives > 0, fraction, ops.ones_like(fraction))


def kept_negatives(row_places, class_shifts, fraction):
    """Returns which (image, class) pairs a down-sampling keeps.

    Systematic sampling: the images stand in random order around a circle,
    each class keeps an arc of length `fraction` from its own random start.
    So each negative is kept with probability `fraction`, exactly; the number
    kept has the wished mean, and varies less than with independent draws
    (the arc holds a number of images within one of the wished, the class's
    few positives among them). It takes B + m random numbers instead of
    B * m and no sorting of the classes, and any replica can compute its own
    rows.

    Args:
        row_places: float [batch] in [0, 1): a random permutation of i / B.
        class_shifts: float [classes] in [0, 1).
        fraction: float [classes].

    Returns:
        bool [batch, classes].
    """
    place = row_places[:, None] + class_shifts[None, :]
    # On a circle: beyond 1 it goes on at 0.
    return place - ops.floor(place) < fraction[None, :]


def _minus_log10(run, offset: float):
    return -ops.log10((offset + run) / 10.0)
