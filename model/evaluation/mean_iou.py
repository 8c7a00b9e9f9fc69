"""How well masks agree: IoU of each class, their mean, pixel accuracy.

PASCAL VOC's rule (Everingham et al.,
https://doi.org/10.1007/s11263-009-0275-4, and its devkit): pixels are counted
over all images together; with the confusion N[true, predicted] of the pixels
that are not void,

    IoU_c = N[c, c] / (sum_j N[c, j] + sum_i N[i, c] - N[c, c])

The background is a class like others. One that is predicted but nowhere true
has 0; one that is neither is left out of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.errors import InputError
from beam_jobs.images.regions import VOID


@dataclass(frozen=True)
class MaskFigures:
    """What an evaluation says of masks.

    Attributes:
        mean_iou: over the ids that are true or predicted somewhere; NaN
            without a valid pixel.
        pixel_accuracy: part of the valid pixels that are right; likewise.
        iou: float64 [classes + 1], background first; NaN: left out.
        true_pixels, predicted_pixels: int64 [classes + 1], valid ones.
        images: that were counted.
    """

    mean_iou: float
    pixel_accuracy: float
    iou: np.ndarray
    true_pixels: np.ndarray
    predicted_pixels: np.ndarray
    images: int


class MaskCounts:
    """Pixels by true and predicted id, summed up image by image.

    Args:
        classes: without the background.

    Attributes:
        confusion: int64 [true, predicted], each classes + 1: exact over any
            data set.
        images: that were added.

    Example:
        >>> counts = MaskCounts(classes=1)
        >>> counts.add(np.uint8([[0, 1, 255]]), np.uint8([[0, 0, 1]]))
        >>> counts.figures().iou.tolist()
        [0.5, 0.0]
    """

    def __init__(self, classes: int):
        self.confusion = np.zeros((classes + 1, classes + 1), np.int64)
        self.images = 0

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Counts one image, at its own size.

        Args:
            truth: uint8 [height, width]: ids, or 255 for void.
            predicted: uint8 [height, width]: ids; any where truth is void.

        Raises:
            InputError: the sizes differ, or an id is of no class.
        """
        if truth.shape != predicted.shape:
            raise InputError(
                "masks must have their image's own size; received: truth "
                f"{truth.shape}, prediction {predicted.shape}"
            )
        ids = len(self.confusion)
        valid = truth != VOID
        pairs = truth[valid].astype(np.int64), predicted[valid]
        for name, found in zip(("true", "predicted"), pairs, strict=True):
            if found.size and found.max() >= ids:
                raise InputError(
                    f"{name} masks must hold ids from 0 to {ids - 1}; "
                    f"received: {found.max()}"
                )
        cells = np.bincount(pairs[0] * ids + pairs[1], minlength=ids * ids)
        self.confusion += cells.reshape(ids, ids)
        self.images += 1

    def figures(self) -> MaskFigures:
        """Returns the figures of what was added so far."""
        right = np.diagonal(self.confusion)
        true, predicted = self.confusion.sum(1), self.confusion.sum(0)
        with np.errstate(invalid="ignore"):
            iou = right / (true + predicted - right)
            accuracy = float(right.sum() / true.sum())
        there = iou[~np.isnan(iou)]
        return MaskFigures(
            mean_iou=float(there.mean()) if there.size else float("nan"),
            pixel_accuracy=accuracy,
            iou=iou,
            true_pixels=true,
            predicted_pixels=predicted,
            images=self.images,
        )
