"""Calibrated probabilities and thresholds: applied, counted, on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv
from model.scores.back_off import BackOff, Level
from model.scores.score_histogram import logits_of

# Of a training's working directory.
SUMMARY = "calibration.json"
THRESHOLDS = "thresholds.tsv"

# 8 million images of 1.0 fit into 63 bits.
_UNITS = 2**40

_HEADER = (
    "wnid",
    "name",
    "threshold",
    "score",
    "threshold_level",
    "threshold_origin",
    "threshold_positives",
    "precision",
    "recall",
    "slope",
    "offset",
    "calibration_level",
    "calibration_origin",
    "calibration_positives",
)


@dataclass(frozen=True)
class Tagging:
    """How the scores of a training become probabilities and tags.

    Attributes:
        calibration: float64 [classes, 2], slope and offset: probability =
            sigmoid(slope x logit + offset).
        thresholds: float64 [classes]; a class is a tag from this probability
            on, never where it is inf.
        summary: the content of `calibration.json`.
    """

    calibration: np.ndarray
    thresholds: np.ndarray
    summary: Mapping[str, Any]

    def logits(self, scores: np.ndarray) -> np.ndarray:
        """Returns the logits of the probabilities, [images, classes].

        Args:
            scores: [images, classes], as `scoring.Scored` has them.
        """
        slope, offset = self.calibration.T
        return slope * logits_of(scores) + offset

    def choose(self, logits: np.ndarray) -> np.ndarray:
        """Returns which classes are tags, bool [images, classes]."""
        # By logits: near 1 float32 probabilities are all the same.
        return logits >= logits_at(self.thresholds)


@dataclass(frozen=True)
class TagFigures:
    """How good chosen tags are.

    Attributes:
        tags_per_image: mean number of tags.
        precision, recall, f1: of every image, means over images; 0/0 = 0.
        micro_precision, micro_recall: over all tags and labels together.
        macro_f1: mean of the F1 of every class that has positives.
    """

    tags_per_image: float
    precision: float
    recall: float
    f1: float
    micro_precision: float
    micro_recall: float
    macro_f1: float

    def to_json(self) -> dict[str, float]:
        """Returns all figures, rounded to 6 digits."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


class TagCounts:
    """Counts tags, labels and what is both.

    Whole numbers, so that the order of the batches changes no digit.
    """

    def __init__(self, classes: int):
        # Of the images' precision, recall and F1, in units of 2**-40; images.
        self._sums = np.zeros(4, np.int64)
        # Right tags, tags, labels.
        self._by_class = np.zeros((3, classes), np.int64)

    def add(self, chosen: np.ndarray, positive: np.ndarray) -> None:
        """Counts a batch, both bool [images, classes]."""
        right = chosen & positive
        r, c, p = (x.sum(axis=1) for x in (right, chosen, positive))
        means = (
            r / np.maximum(c, 1),
            r / np.maximum(p, 1),
            2 * r / np.maximum(c + p, 1),
        )
        units = [np.rint(m * _UNITS).astype(np.int64).sum() for m in means]
        self._sums += [*units, len(chosen)]
        self._by_class += [x.sum(axis=0) for x in (right, chosen, positive)]

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted; see `model.workers.team.Counts`."""
        return [self._sums, self._by_class]

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted."""
        self._sums += tables[0]
        self._by_class += tables[1]

    def of_classes(self) -> np.ndarray:
        """Returns precision, recall and F1, float64 [3, classes]."""
        right, chosen, positive = self._by_class
        return np.stack(
            [
                right / np.maximum(chosen, 1),
                right / np.maximum(positive, 1),
                2 * right / np.maximum(chosen + positive, 1),
            ]
        )

    def result(self) -> TagFigures:
        """Returns what all batches together give."""
        right, chosen, positive = self._by_class.sum(axis=1).tolist()
        *means, images = self._sums.tolist()
        images = max(images, 1)
        means = [units / _UNITS / images for units in means]
        have = self._by_class[2] > 0
        f1 = self.of_classes()[2][have]
        return TagFigures(
            tags_per_image=chosen / images,
            precision=means[0],
            recall=means[1],
            f1=means[2],
            micro_precision=right / max(chosen, 1),
            micro_recall=right / max(positive, 1),
            macro_f1=float(f1.mean()) if have.any() else 0.0,
        )


def logits_at(thresholds: np.ndarray) -> np.ndarray:
    """Returns the logits of thresholds; inf stays inf."""
    reachable = np.isfinite(thresholds)
    return np.where(
        reachable, logit(np.where(reachable, thresholds, 0)), np.inf
    )


def save(
    workdir: Path,
    vocabulary: Vocabulary,
    calibration: BackOff,
    thresholds: BackOff,
    summary: Mapping[str, Any],
) -> list[Path]:
    """Writes `calibration.json` and `thresholds.tsv`; returns the paths.

    Args:
        calibration: values [classes, 2], slope and offset.
        thresholds: values [classes, 3], threshold, precision and recall.
        summary: what the JSON says.
    """
    rows = ["\t".join(_HEADER)]
    raw = _raw_scores(calibration.values, thresholds.values[:, 0])
    for c in vocabulary:
        i = c.index
        threshold, precision, recall = thresholds.values[i]
        slope, offset = calibration.values[i]
        row = [c.wnid, c.display_name, f"{threshold:.6g}", f"{raw[i]:.6g}"]
        row += _where(thresholds, i, vocabulary)
        row += [f"{precision:.4f}", f"{recall:.4f}"]
        # 9 digits bring back the float32 of the served graph.
        row += [f"{slope:.9g}", f"{offset:.9g}"]
        row += _where(calibration, i, vocabulary)
        rows.append("\t".join(row))
    paths = [Path(workdir) / SUMMARY, Path(workdir) / THRESHOLDS]
    text = json.dumps(summary, indent=2, sort_keys=True)
    paths[0].write_text(text + "\n", encoding="utf-8")
    paths[1].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return paths


def load(workdir: Path, vocabulary: Vocabulary, weights: str) -> Tagging | None:
    """Reads what `save` wrote; None where nothing was calibrated.

    Args:
        weights: fingerprint of the weights in use.

    Raises:
        InputError: fitted to other weights, or not to these classes.
    """
    path = Path(workdir) / SUMMARY
    if not path.is_file():
        return None
    summary = json.loads(path.read_text(encoding="utf-8"))
    if summary["weights"] != weights:
        raise InputError(
            f"{path} was fitted to other weights, before more training; run "
            f"`tagforest calibrate {workdir} DATASET` again, or delete it"
        )
    rows = [r for _, r in read_tsv(Path(workdir) / THRESHOLDS, _HEADER)]
    if [r[0] for r in rows] != [c.wnid for c in vocabulary]:
        raise InputError(
            f"{Path(workdir) / THRESHOLDS} lists other classes than the "
            f"training has; run `tagforest calibrate {workdir} DATASET` again"
        )
    return Tagging(
        calibration=_column(rows, "slope", "offset"),
        thresholds=_column(rows, "threshold")[:, 0],
        summary=summary,
    )


def _column(rows: Sequence[Sequence[str]], *names: str) -> np.ndarray:
    places = [_HEADER.index(name) for name in names]
    return np.array([[float(row[p]) for p in places] for row in rows])


def _raw_scores(calibration: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the scores at the thresholds; inf stays inf."""
    slope, offset = calibration.T
    raw = expit((logits_at(thresholds) - offset) / slope)
    return np.where(np.isfinite(thresholds), raw, np.inf)


def _where(fitted: BackOff, index: int, vocabulary: Vocabulary) -> list[str]:
    level = Level(fitted.level[index]).name.lower()
    origin = fitted.origin[index]
    wnid = "" if origin < 0 else vocabulary[origin].wnid
    return [level, wnid, str(fitted.support[index])]
