"""No class scores lower than one below it: what is judged is what is served.

A class is there if one below it is: its score is the highest of its own and
those of all classes below it, the max constraint module of Giunchiglia and
Lukasiewicz 2020 (https://arxiv.org/abs/2010.10151, section 3).
"""

from __future__ import annotations

import numba
import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy


def bottom_up(hierarchy: Hierarchy) -> np.ndarray:
    """Returns int32 [edges, 2]: a class and a parent of it.

    All edges from below to a class come before those from it to its parents.

    Example:
        >>> bottom_up(Hierarchy([(), (0,), (0, 1)])).tolist()
        [[2, 0], [2, 1], [1, 0]]
    """
    # A class has more ancestors than any of its ancestors has.
    classes = sorted(
        range(len(hierarchy)), key=lambda c: -len(hierarchy.ancestors(c))
    )
    pairs = [(c, p) for c in classes for p in hierarchy.parents[c]]
    return np.array(pairs, np.int32).reshape(-1, 2)


def coherent(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Returns each class's highest score of itself and those below it.

    Args:
        scores: float [images, classes]; logits do as well.
        edges: as `bottom_up` has them.

    Example:
        >>> edges = bottom_up(Hierarchy([(), (0,), (1,)]))
        >>> coherent(np.array([[0.2, 0.1, 0.6], [0.9, 0.5, 0.4]]), edges)
        array([[0.6, 0.6, 0.6],
               [0.9, 0.5, 0.4]])
    """
    raised = np.array(scores)
    _raise(raised, edges)
    return raised


@numba.njit(cache=True, nogil=True)
def _raise(scores, edges):
    for image in range(len(scores)):
        row = scores[image]
        for edge in range(len(edges)):
            value = row[edges[edge, 0]]
            if value > row[edges[edge, 1]]:
                row[edges[edge, 1]] = value
