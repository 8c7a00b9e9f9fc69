"""Annotations and labels of many images as ragged columns.

Row r owns the values `row_splits[r]` to `row_splits[r + 1]` of every other
column, as in `tf.RaggedTensor`. Columns cost a hundredth of one object per
label, in time and in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Annotations:
    """What was said of each image, by class index.

    Attributes:
        row_splits: int64 [images + 1].
        ids: int32 [values], class index; -1 for a class that the vocabulary
            lacks.
        confidences: float32 [values]; 0 is verified absent, else over 0 to 1.
        sources: uint8 [values], `ledger.Source` codes.
    """

    row_splits: np.ndarray
    ids: np.ndarray
    confidences: np.ndarray
    sources: np.ndarray

    def __len__(self) -> int:
        return len(self.row_splits) - 1


@dataclass(frozen=True)
class Labels:
    """The labels of each image with their ledger, sorted by class in a row.

    Attributes:
        row_splits: int64 [images + 1].
        ids: int32 [values], class index.
        confidences: float32 [values], over 0 to 1.
        rules: uint8 [values], `ledger.Rule` codes: why the label is there.
        parents: int32 [values], the class that the rule was applied to; the
            label's own if it was annotated.
        sources: uint8 [values], `ledger.Source` codes: who made the
            annotation that the chain of parents ends in.
    """

    row_splits: np.ndarray
    ids: np.ndarray
    confidences: np.ndarray
    rules: np.ndarray
    parents: np.ndarray
    sources: np.ndarray

    def __len__(self) -> int:
        return len(self.row_splits) - 1


def take_rows(
    row_splits: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns new row splits and the positions of values, rows reordered.

    Args:
        row_splits: int64 [rows + 1].
        order: rows to take, in order.
    """
    lengths = np.diff(row_splits)[order]
    splits = np.concatenate(([0], np.cumsum(lengths)))
    shift = np.repeat(row_splits[:-1][order] - splits[:-1], lengths)
    return splits, np.arange(splits[-1]) + shift
