"""All figures of an evaluation, from batches that are seen once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source, rules_of, sources_of
from model.evaluation.baselines import most_frequent_tags
from model.evaluation.breakdowns import (
    Comparison,
    DepthRow,
    Known,
    OriginRow,
    by_frequency,
)
from model.evaluation.ranking import (
    HitsBesideBaseline,
    best_classes,
    best_of_both,
)
from model.evaluation.result import CalibrationReport, Evaluation
from model.scores import reliability
from model.scores.coherent import bottom_up, coherent
from model.scores.score_histogram import ScoreHistogram
from model.scores.scoring import Scored
from model.scores.tagging import TagCounts, Tagging
from model.workers.team import Counts

KS = (5, 10)
# Of the curve of F1 at k.
CURVE = tuple(range(1, 21))


class Evaluator:
    """Metrics of the model and of the baseline over the same batches.

    Its memory does not grow with the number of images.

    Args:
        hierarchy: says which classes are leaves, and how deep all are.
        train_counts: training images of every class [classes], the
            baseline's whole knowledge.
        calibration: probabilities and thresholds to judge as well.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        train_counts: np.ndarray,
        calibration: Tagging | None = None,
    ):
        self.hierarchy = hierarchy
        self.train_counts = np.asarray(train_counts)
        self.histogram = ScoreHistogram(len(hierarchy))
        # float32, as the scores: equal ones must be ties in both.
        self.baseline = most_frequent_tags(train_counts)
        self._all = np.arange(len(hierarchy))
        self._leaves = np.flatnonzero(hierarchy.is_leaf)
        self._depths = [
            np.flatnonzero(hierarchy.depth == depth)
            for depth in range(int(hierarchy.depth.max(initial=0)) + 1)
        ]
        self._start_counts()
        self._tags = _TagCounts(hierarchy, calibration)

    def _start_counts(self) -> None:
        whole = self._best_tags(self._all)
        self.overall = HitsBesideBaseline(CURVE, whole)
        self.leaves = HitsBesideBaseline((1, 5), self._best_tags(self._leaves))
        self.at_depth = [
            HitsBesideBaseline((5,), self._best_tags(d)) for d in self._depths
        ]
        self.from_depth = [
            HitsBesideBaseline((5,), self._best_tags(np.concatenate(deeper)))
            for deeper in (self._depths[d:] for d in range(len(self._depths)))
        ]
        self.rules = {rule: HitsBesideBaseline(KS, whole) for rule in Rule}
        self.sources = {s: HitsBesideBaseline(KS, whole) for s in Source}
        self.known = HitsBesideBaseline(KS, whole)

    def _best_tags(self, columns: np.ndarray) -> np.ndarray:
        columns = np.sort(columns)
        return best_classes(self.baseline[None], CURVE[-1], columns)[0]

    def update(self, batch: Scored) -> None:
        """Adds a batch.

        Raises:
            InputError: not of this number of classes.
        """
        labels, scores = np.asarray(batch.labels), np.asarray(batch.scores)
        _check_shapes(labels, scores, len(self.hierarchy))
        scores = scores.astype(np.float32)
        positive = labels > 0
        self.histogram.add(labels, scores)
        best = self._update_depths(positive, scores)
        self.overall.add(positive, best, positive.sum(axis=1))
        self._add(self.leaves, self._leaves, positive, scores)
        self._update_known(labels, scores)
        if batch.ledger is not None:
            self._update_origins(positive, best, batch.ledger)
        self._tags.update(scores, positive)

    def _update_depths(
        self, positive: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """Returns the best of all classes; looks at each score once."""
        best = np.zeros((len(scores), 0), np.int64)
        labels = np.zeros(len(scores), np.int64)
        for depth in range(len(self._depths) - 1, -1, -1):
            columns = self._depths[depth]
            here = self._add(self.at_depth[depth], columns, positive, scores)
            best = best_of_both(scores, CURVE[-1], best, here)
            labels = labels + positive[:, columns].sum(axis=1)
            self.from_depth[depth].add(positive, best, labels)
        return best

    def _add(
        self,
        counts: HitsBesideBaseline,
        columns: np.ndarray,
        positive: np.ndarray,
        scores: np.ndarray,
    ) -> np.ndarray:
        best = best_classes(scores, CURVE[-1], columns)
        counts.add(positive, best, positive[:, columns].sum(axis=1))
        return best

    def _update_known(self, labels: np.ndarray, scores: np.ndarray) -> None:
        # Only who wrote down what is absent has looked for the rest.
        looked_for = (labels == 0).any(axis=1)
        if not looked_for.any():
            return
        labels = labels[looked_for]
        constant = np.broadcast_to(self.baseline, labels.shape)
        for counts, given in (
            (self.known.model, scores[looked_for]),
            (self.known.baseline, constant),
        ):
            # Unknown classes rank behind all known ones.
            known = np.where(labels >= 0, given, -np.inf)
            best = best_classes(known, KS[-1], self._all)
            hits = np.take_along_axis(labels, best, axis=1) > 0
            counts.add(hits, (labels > 0).sum(axis=1))

    def _update_origins(
        self, positive: np.ndarray, best: np.ndarray, ledger: np.ndarray
    ) -> None:
        has = positive & (ledger >= 0)
        parts = (
            (self.rules, rules_of(ledger)),
            (self.sources, sources_of(ledger)),
        )
        for counts, codes in parts:
            for code in np.unique(codes[has]):
                chosen = has & (codes == code)
                counts[code].add(chosen, best, chosen.sum(axis=1))

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted; see `model.workers.team.Counts`."""
        return [t for counts in self._counts() for t in counts.tables()]

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted of other images."""
        rest = iter(tables)
        for counts in self._counts():
            counts.add_tables(list(islice(rest, len(counts.tables()))))

    def _counts(self) -> list[Counts]:
        """Returns all that grows with the images, in one order."""
        hits = [
            *(self.overall, self.leaves, *self.at_depth, *self.from_depth),
            *(*self.rules.values(), *self.sources.values(), self.known),
        ]
        both = [counts for h in hits for counts in (h.model, h.baseline)]
        return [self.histogram, *both, *self._tags.counts]

    def result(self, split: str) -> Evaluation:
        """Returns what all batches together give.

        Raises:
            InputError: there were none.
        """
        images = self.histogram.images
        if not images:
            raise InputError(f"split {split!r} has no images to evaluate")
        precision, error = self.histogram.average_precision()
        positives = self.histogram.positives.sum(axis=1, dtype=np.int64)
        have = positives > 0
        shares = positives / images
        tags = self._tags.of_classes()
        f1 = None if tags is None else tags[2]
        curve = _figures_at(self.overall, CURVE)
        return Evaluation(
            split=split,
            images=images,
            labels_per_image=self.overall.model.labels / images,
            figures={
                **self._figures(),
                "macro_average_precision": _macro(precision, shares, have),
            },
            average_precision=precision,
            positives=positives,
            depth=self.hierarchy.depth,
            train_images=self.train_counts,
            average_precision_error=_mean(error[have]),
            f1_at_k=[curve[f"f1_at_{k}"] for k in CURVE],
            depths=self._depth_rows(precision, have),
            frequencies=by_frequency(self.train_counts, precision, shares, f1),
            rules=_origin_rows(self.rules),
            sources=_origin_rows(self.sources),
            known=self._known(),
            calibration=self._tags.report(self.histogram),
            reliability=reliability.measure(self.histogram),
            tags_of_classes=tags,
        )

    def _figures(self) -> dict[str, Comparison]:
        figures = _figures_at(self.overall, KS)
        # Roots are labels of nearly every image and lift every figure at 5;
        # the leaves say whether the tagger knows one thing from another.
        of_leaves = _figures_at(self.leaves, (1, 5))
        figures["leaf_f1_at_5"] = of_leaves["f1_at_5"]
        figures["best_leaf_right"] = of_leaves["precision_at_1"]
        return figures

    def _depth_rows(
        self, precision: np.ndarray, have: np.ndarray
    ) -> list[DepthRow]:
        rows = []
        for depth, columns in enumerate(self._depths):
            chosen = columns[have[columns]]
            if not len(chosen):
                continue
            rows.append(
                DepthRow(
                    depth=depth,
                    classes=len(chosen),
                    macro_average_precision=_mean(precision[chosen]),
                    at_depth=_figures_at(self.at_depth[depth], (5,)),
                    from_depth=_figures_at(self.from_depth[depth], (5,)),
                )
            )
        return rows

    def _known(self) -> Known | None:
        if not self.known.model.images:
            return None
        histogram = self.histogram
        precision, _ = histogram.average_precision(known_only=True)
        positives = histogram.positives.sum(axis=1)
        absent = histogram.negatives(known_only=True).sum(axis=1)
        have = (positives > 0) & (absent > 0)
        shares = positives / np.maximum(positives + absent, 1)
        figures = _figures_at(self.known, KS)
        figures["macro_average_precision"] = _macro(precision, shares, have)
        return Known(self.known.model.images, int(have.sum()), figures)


class _TagCounts:
    """Tags by 0.5 of the score, of the probability, and by thresholds."""

    def __init__(self, hierarchy: Hierarchy, tagging: Tagging | None):
        self.tagging = tagging
        self._edges = bottom_up(hierarchy)
        self.counts = [TagCounts(len(hierarchy)) for _ in range(3)]
        self.score, self.probability, self.fitted = self.counts

    def update(self, scores: np.ndarray, positive: np.ndarray) -> None:
        """Adds a batch, both [images, classes]."""
        self.score.add(scores >= 0.5, positive)
        if self.tagging is not None:
            # Slopes and offsets differ: again as it is served.
            logits = coherent(self.tagging.logits(scores), self._edges)
            self.probability.add(logits >= 0, positive)
            self.fitted.add(self.tagging.choose(logits), positive)

    def of_classes(self) -> np.ndarray | None:
        """Returns precision, recall, F1 by the thresholds, [3, classes]."""
        return None if self.tagging is None else self.fitted.of_classes()

    def report(self, histogram: ScoreHistogram) -> CalibrationReport | None:
        """Returns figures before and after; None without a calibration."""
        if self.tagging is None:
            return None
        return CalibrationReport(
            after=reliability.measure(histogram, self.tagging.calibration),
            tags={
                "score 0.5": self.score.result(),
                "probability 0.5": self.probability.result(),
                "thresholds": self.fitted.result(),
            },
            goal=self.tagging.summary.get("goal", "f1"),
            precision=self.tagging.summary.get("precision"),
        )


def _figures_at(
    counts: HitsBesideBaseline, ks: Sequence[int]
) -> dict[str, Comparison]:
    """Returns precision, recall and F1 at each k, by name."""
    return {
        f"{kind}_at_{k}": Comparison(
            getattr(counts.model.at(k), kind),
            getattr(counts.baseline.at(k), kind),
            getattr(counts.model.ceiling(k), kind),
        )
        for k in ks
        for kind in ("precision", "recall", "f1")
    }


def _origin_rows(counts: dict) -> list[OriginRow]:
    return [
        OriginRow(
            origin=code.name.lower(),
            labels=hits.model.labels,
            recalls={
                f"recall_at_{k}": Comparison(
                    hits.model.recall(k),
                    hits.baseline.recall(k),
                    hits.model.most_recall(k),
                )
                for k in KS
            },
        )
        for code, hits in counts.items()
        if hits.model.labels
    ]


def _macro(
    precision: np.ndarray, shares: np.ndarray, have: np.ndarray
) -> Comparison:
    if not have.any():
        return Comparison(0.0, 0.0, 0.0)
    # A constant score ranks no image above another: its average precision
    # is the share of images that have the class.
    return Comparison(_mean(precision[have]), _mean(shares[have]), 1.0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _check_shapes(labels: np.ndarray, scores: np.ndarray, classes: int) -> None:
    wanted = (labels.shape[0], classes)
    if labels.shape != wanted or scores.shape != wanted:
        raise InputError(
            f"labels and scores must be [images, {classes}]; received: "
            f"labels {list(labels.shape)}, scores {list(scores.shape)}"
        )
