"""Which classes come with which: counts of predictions -> pairs.

CO(i, j) = n_ij / n_i, where n_i images are predicted to have class i and n_ij
to have i and j (paper, section 2.3). A pair (i, j) is strong if CO(i, j) is
over 0.5 and no is-a path links the two.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from scipy.sparse import csr_array, triu

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.cooccurrence.options import Reading
from beam_jobs.errors import InputError
from beam_jobs.labels.pairs import _DTYPES, Pairs


def count_pairs(
    row_splits: np.ndarray, ids: np.ndarray, classes: int
) -> csr_array:
    """Returns how many images have a class, and two of them.

    Counts of parts of the images can be added; their order does not matter.

    Args:
        row_splits: int64 [images + 1].
        ids: integers, the classes that each image has; a class that is named
            twice counts once.
        classes: size of the vocabulary.

    Returns:
        int64 [classes, classes], the upper triangle: n_i on the diagonal,
        n_ij above it.

    Raises:
        InputError: a class out of range.

    Example:
        >>> count_pairs(np.array([0, 2, 3]), np.array([0, 2, 2]), 3).toarray()
        array([[1, 0, 1],
               [0, 0, 0],
               [0, 0, 2]])
    """
    if len(ids) and not 0 <= ids.min() <= ids.max() < classes:
        raise InputError(
            f"class indices must be 0 to {classes - 1}; received: "
            f"{ids.min()} to {ids.max()}"
        )
    ones = np.ones(len(ids), np.int64)
    # A copy, for the next line sorts in place.
    has = csr_array(
        (ones, ids, row_splits), (len(row_splits) - 1, classes), copy=True
    )
    has.sum_duplicates()
    has.data[:] = 1
    return triu(has.T @ has, format="csr")


def find_pairs(
    counts: csr_array,
    hierarchy: Hierarchy,
    *,
    min_co: float = 0.5,
    reading: Reading = "unrelated",
    min_images: int = 1,
) -> Pairs:
    """Returns the strong pairs, sorted by source class, then added class.

    Args:
        counts: of predictions over 0.95; see `count_pairs`.
        hierarchy: of the same classes.
        min_co: CO(i, j) must be over it.
        reading: of the paper's "no path from i to j, or the path is
            reversed". `unrelated`: no path in either direction;
            `not_ancestor`: j is no ancestor of i, so that a class may add its
            own descendants.
        min_images: least n_i, for CO of few images says little.

    Raises:
        InputError: an unknown reading, a bound out of range, another number
            of classes.
    """
    _check_bounds(counts, hierarchy, min_co, reading, min_images)
    pairs = triu(counts, k=1).tocoo()
    source = np.append(pairs.row, pairs.col)
    added = np.append(pairs.col, pairs.row)
    n_ij = np.append(pairs.data, pairs.data)
    n_i = counts.diagonal()[source]
    co = n_ij / n_i
    strong = np.flatnonzero((co > min_co) & (n_i >= min_images))
    related = _is_ancestor(hierarchy, added[strong], source[strong])
    if reading == "unrelated":
        related |= _is_ancestor(hierarchy, source[strong], added[strong])
    strong = strong[~related]
    kept = strong[np.lexsort((added[strong], source[strong]))]
    columns = (source, added, co, n_i, n_ij)
    return Pairs(
        *(c[kept].astype(d) for c, d in zip(columns, _DTYPES, strict=True))
    )


def _check_bounds(
    counts: csr_array,
    hierarchy: Hierarchy,
    min_co: float,
    reading: str,
    min_images: int,
) -> None:
    if len(hierarchy) != counts.shape[0]:
        raise InputError(
            f"the counts are of {counts.shape[0]} classes and the hierarchy of "
            f"{len(hierarchy)}; both must be of one vocabulary"
        )
    if reading not in get_args(Reading):
        raise InputError(
            f"the reading must be one of {get_args(Reading)}; received: "
            f"{reading!r}"
        )
    if not 0 <= min_co < 1 or min_images < 1:
        raise InputError(
            "CO's bound must be 0 to under 1 and the least number of images 1 "
            f"or more; received: {min_co} and {min_images}"
        )


def _is_ancestor(
    hierarchy: Hierarchy, above: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Returns bool, elementwise: `above` is an ancestor of `below`."""
    related = (
        a in hierarchy.ancestors(b)
        for a, b in zip(above.tolist(), below.tolist(), strict=True)
    )
    return np.fromiter(related, bool, len(above))
