"""Average precision of found boxes, by the rules of VOC and of COCO.

| rule | overlap (IoU) | of the curve of precision over recall |
|---|---|---|
| `voc07` | 0.5 | mean at 11 recalls (VOC until 2009) |
| `voc` | 0.5 | its area (VOC from 2010 on) |
| `coco` | 0.5, 0.55 to 0.95, the mean | mean at 101 recalls |
| `coco50`, `coco75` | 0.5; 0.75 | likewise |

They also differ in what a found box is compared with. VOC: with the truth
that it overlaps most; is that one taken, the box is wrong. COCO: with the free
truth that it overlaps most. See the development kits,
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ and
https://github.com/cocodataset/cocoapi (`cocoeval.py`, all areas, at most 100
boxes of a class an image).

Boxes are (ymin, xmin, ymax, xmax) without a pixel at the end: xmax - xmin is
the width. VOC's files count pixels from 1 and include the last, so that its
development kit adds 1 to each width: take (ymin - 1, xmin - 1, ymax, xmax) of
theirs. The unit does not matter, pixels or parts of the image, since an
overlap is a ratio of areas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from beam_jobs.errors import InputError

_COCO_BOXES = 100


@dataclass(frozen=True)
class Truth:
    """The objects of one image.

    Attributes:
        boxes: float [objects, 4].
        classes: int [objects].
        ignored: bool [objects]: difficult or a crowd: need not be found, and
            what finds it is neither right nor wrong.
        crowds: bool [objects], which of the ignored are crowds, or None: no
            one. `coco` forgives all boxes that lie in a crowd, and of
            another ignored object the first. VOC's rules, which forgive all
            in any case, do without.
    """

    boxes: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    crowds: np.ndarray | None = None


@dataclass(frozen=True)
class Found:
    """What was found in one image.

    Attributes:
        boxes: float [found, 4].
        scores: float [found].
        classes: int [found].
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


# What becomes of a found box.
_WRONG, _RIGHT, _FORGIVEN = 0, 1, 2


@dataclass(frozen=True)
class _Rule:
    """How boxes are judged, and what is made of it.

    Attributes:
        match: see `_match_voc`.
        overlaps: the least IoUs.
        recalls: places at which the precision is read; 0: everywhere.
        most: boxes of a class an image; None: all.
    """

    match: Callable[[np.ndarray, np.ndarray, np.ndarray, float], list[int]]
    overlaps: tuple[float, ...]
    recalls: int
    most: int | None = None


def average_precision(
    truths: Sequence[Truth], founds: Sequence[Found], classes: int, rule: str
) -> np.ndarray:
    """Returns each class' average precision, float64 [classes].

    NaN for a class without an object that has to be found: it is no part of
    the mean (`np.nanmean`). Equal scores go in the order of the images, then
    in that of the boxes.

    Args:
        truths, founds: one an image, in one order.
        classes: how many there are.
        rule: one of `RULES`.

    Raises:
        InputError: no such rule.
        ValueError: not as many of the one as of the other.
    """
    if rule not in RULES:
        raise InputError(
            f"average precision goes by one of {', '.join(RULES)}; "
            f"received: {rule!r}"
        )
    chosen = RULES[rule]
    wanted = np.zeros(classes, np.int64)
    judged: dict[int, list[np.ndarray]] = defaultdict(list)
    for truth, found in zip(truths, founds, strict=True):
        needed = truth.classes[~truth.ignored]
        wanted += np.bincount(needed, minlength=classes)
        for index in np.unique(found.classes):
            judged[int(index)].append(_judged(truth, found, index, chosen))
    result = np.where(wanted > 0, 0.0, np.nan)
    for index, rows in judged.items():
        if wanted[index]:
            result[index] = _mean_precision(
                np.concatenate(rows), int(wanted[index]), chosen.recalls
            )
    return result


def _judged(truth: Truth, found: Found, index: int, rule: _Rule) -> np.ndarray:
    """Returns score and verdicts of one class' boxes, [found, 1 + overlaps]."""
    own = np.flatnonzero(found.classes == index)
    best = np.argsort(-found.scores[own], kind="stable")[: rule.most]
    own = own[best]
    there = truth.classes == index
    ignored = truth.ignored[there]
    crowds = np.zeros_like(ignored)
    if truth.crowds is not None and rule.match is _match_coco:
        crowds = truth.crowds[there]
    overlaps = _overlaps(found.boxes[own], truth.boxes[there], crowds)
    verdicts = [
        rule.match(overlaps, ignored, crowds, least) for least in rule.overlaps
    ]
    return np.array([found.scores[own], *verdicts], np.float64).T


def _overlaps(
    found: np.ndarray, true: np.ndarray, crowds: np.ndarray
) -> np.ndarray:
    """Returns IoU [found, true]; of a crowd, the part of the found box."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    own, of_true = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (found, true))
    union = np.where(crowds, own[:, None], own[:, None] + of_true - shared)
    return shared / np.maximum(union, np.finfo(np.float64).tiny)


def _match_voc(
    overlaps: np.ndarray, ignored: np.ndarray, crowds: np.ndarray, least: float
) -> list[int]:
    """Returns a verdict for each found box, best score first.

    The truth that it overlaps most decides; the first box has it.

    Args:
        overlaps: float [found, true].
        ignored, crowds: bool [true].
        least: IoU.
    """
    taken = np.zeros(len(ignored), bool)
    verdicts = []
    for row in overlaps:
        best = int(np.argmax(row)) if len(row) else -1
        if best < 0 or row[best] < least:
            verdicts.append(_WRONG)
        elif ignored[best]:
            verdicts.append(_FORGIVEN)
        else:
            verdicts.append(_WRONG if taken[best] else _RIGHT)
            taken[best] = True
    return verdicts


def _match_coco(
    overlaps: np.ndarray, ignored: np.ndarray, crowds: np.ndarray, least: float
) -> list[int]:
    """As `_match_voc`, but by the free truth that a box overlaps most.

    Ignored ones come last; a crowd is always free.
    """
    free = np.ones(len(ignored), bool)
    verdicts = []
    for row in overlaps:
        reached = free & (row >= least)
        verdict = _WRONG
        for group, name in ((~ignored, _RIGHT), (ignored, _FORGIVEN)):
            if verdict == _WRONG and (reached & group).any():
                best = int(np.argmax(np.where(reached & group, row, -1.0)))
                free[best] = crowds[best]
                verdict = name
        verdicts.append(verdict)
    return verdicts


def _mean_precision(judged: np.ndarray, wanted: int, recalls: int) -> float:
    """Returns the mean over the overlaps, each one's curve first.

    Args:
        judged: score and verdicts of all images, [found, 1 + overlaps].
        wanted: objects that have to be found.
    """
    judged = judged[np.argsort(-judged[:, 0], kind="stable")]
    return float(np.mean([_curve(v, wanted, recalls) for v in judged[:, 1:].T]))


def _curve(verdicts: np.ndarray, wanted: int, recalls: int) -> float:
    """Returns the average precision of verdicts, best score first."""
    counted = verdicts[verdicts != _FORGIVEN]
    right = np.cumsum(counted == _RIGHT)
    recall = right / wanted
    precision = right / np.arange(1, len(right) + 1)
    # The best precision at this recall or a higher one; behind the last: 0.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    precision = np.append(precision, 0.0)
    if not recalls:
        return float(np.sum(np.diff(recall, prepend=0.0) * precision[:-1]))
    # As the kits: 3 of 10 do not reach the recall 0.3, which is 3 * 0.1 here.
    read_at = np.linspace(0.0, 1.0, recalls)
    return float(np.mean(precision[np.searchsorted(recall, read_at)]))


_COCO = tuple(np.linspace(0.5, 0.95, 10).tolist())
RULES = {
    "voc07": _Rule(_match_voc, (0.5,), 11),
    "voc": _Rule(_match_voc, (0.5,), 0),
    "coco": _Rule(_match_coco, _COCO, 101, _COCO_BOXES),
    "coco50": _Rule(_match_coco, (0.5,), 101, _COCO_BOXES),
    "coco75": _Rule(_match_coco, (0.75,), 101, _COCO_BOXES),
}
