"""No class less probable than one below it, in ops that every format has.

The SavedModel takes the highest of each segment in one op. Converters make of
that a table of all pairs times all classes: gigabytes at 11,166 classes. Here
neighbours in the list of a class are compared in rounds until one is left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy


class Round(NamedTuple):
    """What is compared at once, and whose highest value is known then.

    Attributes:
        left, right: places whose higher value stays, int32; of classes in the
            first round, else of the values that the round before has left.
        done: of the new values, so many at the end are those of a class.
    """

    left: np.ndarray
    right: np.ndarray
    done: int


class Plan(NamedTuple):
    """How the highest values are found.

    Attributes:
        alone: classes with nothing below them, int32.
        rounds: one after the other.
        order: of each class its place among those alone and those done.
    """

    alone: np.ndarray
    rounds: tuple[Round, ...]
    order: np.ndarray


def plan(hierarchy: Hierarchy) -> Plan:
    """Returns what to compare until each class has one value.

    Example:
        >>> made = plan(Hierarchy([(), (0,), (0,)]))
        >>> made.alone.tolist(), made.order.tolist()
        ([1, 2], [2, 0, 1])
        >>> [(r.left.tolist(), r.right.tolist(), r.done) for r in made.rounds]
        [([0, 2], [1, 2], 0), ([0], [1], 1)]
    """
    below = [(i, *hierarchy.descendants(i)) for i in range(len(hierarchy))]
    # Whose lists are long comes first: what is done lies at the end.
    classes = sorted(range(len(below)), key=lambda i: -len(below[i]))
    lengths = np.array([len(below[i]) for i in classes])
    finished = [np.array(classes)[lengths == 1]]
    lists = np.concatenate([below[i] for i in classes])
    found: list[Round] = []
    while len(lengths := lengths[lengths > 1]):
        left, right, lengths = _halved(lengths)
        # The lists are never made: the first round reads the classes.
        if not found:
            left, right = lists[left], lists[right]
        ended = np.flatnonzero(lengths == 1)
        finished.append(np.array(classes)[ended])
        left, right = left.astype(np.int32), right.astype(np.int32)
        found.append(Round(left, right, len(ended)))
    order = np.argsort(np.concatenate(finished)).astype(np.int32)
    return Plan(finished[0].astype(np.int32), tuple(found), order)


def highest_below(values: tf.Tensor, plan: Plan) -> tf.Tensor:
    """Returns the highest value of each class and those below it.

    Args:
        values: float32 [N, classes].
    """
    rows = tf.transpose(values)
    done = [tf.gather(rows, plan.alone)]
    for left, right, ended in plan.rounds:
        rows = tf.maximum(tf.gather(rows, left), tf.gather(rows, right))
        if ended:
            done.append(rows[len(left) - ended :])
    return tf.transpose(tf.gather(tf.concat(done, 0), plan.order))


def _halved(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs of each list's neighbours, and the lists' new lengths.

    The last of an odd number is its own neighbour.
    """
    half = (lengths + 1) // 2
    starts = np.repeat(np.cumsum(lengths) - lengths, half)
    ends = starts + np.repeat(lengths, half) - 1
    place = np.arange(half.sum()) - np.repeat(np.cumsum(half) - half, half)
    left = starts + 2 * place
    return left, np.minimum(left + 1, ends), half
