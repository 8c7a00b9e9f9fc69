"""What a detector is worth: average precision, and pictures to look at."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import records
from beam_jobs.errors import InputError
from beam_jobs.images.regions import CROWD
from model import workdir as files
from model.evaluation import box_pictures
from model.evaluation.average_precision import (
    RULES,
    Found,
    Truth,
    average_precision,
)
from model.evaluation.own_size import Seen, judged

PLOT = "detection.png"
# Images in the picture, and the least score of a box in it.
_SHOWN, _LEAST_SHOWN = 12, 0.5


def judge(
    model: Any,
    vocabulary: Vocabulary,
    dataset: str,
    split: str,
    places: Collection[int],
    folder: Path,
) -> tuple[dict[str, Any], list[Path]]:
    """Judges a detector by a split.

    Args:
        places: see `own_size.judged`.
        folder: for the files.

    Returns:
        The figures, by their names, and the files.

    Raises:
        InputError: no such split, no object in it, or a damaged record.
    """
    truths: list[Truth] = []
    found: list[Found] = []
    shown: list[Seen] = []
    for seen in judged(model, model.detect, dataset, split, places):
        truths.append(_truth(seen))
        found.append(_found(seen))
        if len(shown) < _SHOWN and len(truths[-1].classes):
            shown.append(seen)
    if not any(len(t.classes) for t in truths):
        raise InputError(
            f"{dataset}: no box is in its {split} split: nothing to judge by"
        )
    figures = _figures(truths, found, vocabulary)
    files.write_json(folder / files.DETECTION, figures)
    _draw(shown, vocabulary, folder / PLOT)
    return figures, [folder / files.DETECTION, folder / PLOT]


def _figures(
    truths: list[Truth], found: list[Found], vocabulary: Vocabulary
) -> dict[str, Any]:
    per_class = {
        rule: average_precision(truths, found, len(vocabulary), rule)
        for rule in RULES
    }
    return {
        "images": len(truths),
        "objects": sum(int((~t.ignored).sum()) for t in truths),
        "ignored": sum(int(t.ignored.sum()) for t in truths),
        "boxes": sum(len(f.scores) for f in found),
        **{rule: float(np.nanmean(p)) for rule, p in per_class.items()},
        "per_class": {
            c.name: {
                rule: None if np.isnan(p[c.index]) else float(p[c.index])
                for rule, p in per_class.items()
            }
            for c in vocabulary
        },
    }


def _pixels(boxes: np.ndarray, seen: Seen) -> np.ndarray:
    height, width = seen.pixels.shape[:2]
    return boxes * np.array([height, width, height, width], np.float32)


def _truth(seen: Seen) -> Truth:
    flags = seen.record[records.OBJECT_FLAG]
    boxes = seen.record[records.OBJECT_BOX].reshape(-1, 4)
    return Truth(
        _pixels(boxes, seen),
        seen.record[records.OBJECT_CLASS],
        flags != 0,
        flags == CROWD,
    )


def _found(seen: Seen) -> Found:
    boxes, scores, classes = (part.numpy() for part in seen.outputs)
    there = classes >= 0
    return Found(_pixels(boxes, seen)[there], scores[there], classes[there])


def _draw(shown: list[Seen], vocabulary: Vocabulary, path: Path) -> None:
    true, found = [], []
    for seen in shown:
        truth, boxes = _truth(seen), _found(seen)
        classes = np.where(truth.ignored, -1, truth.classes)
        true.append(box_pictures.Boxes(truth.boxes, classes))
        sure = boxes.scores >= _LEAST_SHOWN
        found.append(
            box_pictures.Boxes(
                boxes.boxes[sure], boxes.classes[sure], boxes.scores[sure]
            )
        )
    names = [c.display_name for c in vocabulary]
    sheet = box_pictures.sheet([s.pixels for s in shown], true, found, names)
    Image.fromarray(sheet).save(path)
