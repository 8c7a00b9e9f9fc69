"""What a segmenter is worth: mean IoU, and pictures to look at."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import records
from model import workdir as files
from model.evaluation import mask_pictures
from model.evaluation.mean_iou import MaskCounts
from model.evaluation.own_size import Seen, judged
from model.inputs.region_targets import read_mask
from model.network.segmenter import mask_of

PLOT = "segmentation.png"
_SHOWN = 8


def judge(
    model: Any,
    vocabulary: Vocabulary,
    dataset: str,
    split: str,
    places: Collection[int],
    folder: Path,
) -> tuple[dict[str, Any], list[Path]]:
    """Judges a segmenter by a split, at the images' own sizes.

    Args:
        places: see `own_size.judged`.
        folder: for the files.

    Returns:
        The figures, by their names, and the files.

    Raises:
        InputError: no such split, or a record that is damaged or has no mask.
    """
    counts = MaskCounts(len(vocabulary))
    shown: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    see = partial(model, training=False)
    for seen in judged(model, see, dataset, split, places):
        true, predicted = _masks(seen)
        counts.add(true, predicted)
        if len(shown) < _SHOWN:
            shown.append((seen.pixels, true, predicted))
    found = counts.figures()
    figures: dict[str, Any] = {
        "images": found.images,
        "mean_iou": found.mean_iou,
        "pixel_accuracy": found.pixel_accuracy,
        "per_class": {
            name: None if np.isnan(iou) else float(iou)
            for name, iou in zip(
                ["background", *(c.name for c in vocabulary)],
                found.iou,
                strict=True,
            )
        },
    }
    files.write_json(folder / files.SEGMENTATION, figures)
    names = [c.display_name for c in vocabulary]
    images, truths, predictions = map(list, zip(*shown, strict=True))
    sheet = mask_pictures.draw_sheet(images, truths, predictions, names)
    sheet.save(folder / PLOT)
    return figures, [folder / files.SEGMENTATION, folder / PLOT]


def _masks(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    true = read_mask(seen.record[records.IMAGE_MASK], seen.name.encode())
    found = mask_of(seen.outputs, *true.shape)
    return true, found.numpy()
