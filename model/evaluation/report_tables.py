"""The figures of an evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from model.evaluation.breakdowns import Comparison, OriginRow
from model.evaluation.result import TITLES, CalibrationReport, Evaluation
from model.scores.reliability import Reliability


def table(evaluation: Evaluation) -> Table:
    """Returns the figures as a table for the terminal."""
    result = _table(
        f"{evaluation.images:,} {evaluation.split} images, "
        f"{evaluation.labels_per_image:.2f} labels each",
        ("", "model", "baseline", "ceiling", "gap closed"),
    )
    for name, figure in evaluation.figures.items():
        gap = figure.gap_closed
        shown = "-" if gap is None else f"{gap:.0%}"
        result.add_row(TITLES[name], *_three(figure), shown)
    return result


def tables(evaluation: Evaluation) -> list[Table]:
    """Returns all tables, the main figures first."""
    found = [table(evaluation), _known(evaluation), _depths(evaluation)]
    found.append(_frequencies(evaluation))
    found.append(_origins("labels by rule", evaluation.rules))
    found.append(_origins("labels by source", evaluation.sources))
    if evaluation.calibration is not None:
        found.append(_tags(evaluation.calibration))
        found.append(
            _probabilities(evaluation.reliability, evaluation.calibration.after)
        )
    return [one for one in found if one is not None and one.row_count]


def _known(evaluation: Evaluation) -> Table | None:
    known = evaluation.known
    if known is None:
        return None
    result = _table(
        f"known labels alone: {known.images:,} images",
        ("", "model", "baseline", "ceiling"),
    )
    for name, figure in known.figures.items():
        result.add_row(TITLES[name], *_three(figure))
    return result


def _depths(evaluation: Evaluation) -> Table:
    result = _table(
        "by depth: F1 at 5 from there down, and at it",
        ("depth", "classes", "from", "baseline", "ceiling", "at", "macro AP"),
    )
    for row in evaluation.depths:
        result.add_row(
            str(row.depth),
            f"{row.classes:,}",
            *_three(row.from_depth["f1_at_5"]),
            f"{row.at_depth['f1_at_5'].model:.3f}",
            f"{row.macro_average_precision:.3f}",
        )
    return result


def _frequencies(evaluation: Evaluation) -> Table:
    fitted = evaluation.calibration is not None
    names = ["training images", "classes", "macro AP", "baseline"]
    result = _table(
        "by training images of a class",
        [*names, "macro F1"] if fitted else names,
    )
    for row in evaluation.frequencies:
        values = [
            span(row.least, row.most),
            f"{row.classes:,}",
            f"{row.macro_average_precision:.3f}",
            f"{row.baseline:.3f}",
        ]
        result.add_row(*values, *([] if row.f1 is None else [f"{row.f1:.3f}"]))
    return result


def _origins(title: str, rows: Sequence[OriginRow]) -> Table:
    result = _table(
        f"{title}: how many are found",
        ("", "labels", "", "model", "baseline", "ceiling"),
    )
    for row in rows:
        first = (row.origin.replace("_", " "), f"{row.labels:,}")
        # A line each, so that 80 columns are enough.
        for name, figure in row.recalls.items():
            result.add_row(*first, TITLES[name], *_three(figure))
            first = ("", "")
    return result


def _tags(report: CalibrationReport) -> Table:
    goal = "most F1"
    if report.goal == "precision":
        goal = f"precision {report.precision}"
    result = _table(
        f"tags by thresholds for {goal}",
        ("", "tags", "precision", "recall", "F1", "macro F1", "all tags"),
    )
    for name, figures in report.tags.items():
        result.add_row(
            name,
            f"{figures.tags_per_image:.2f}",
            f"{figures.precision:.3f}",
            f"{figures.recall:.3f}",
            f"{figures.f1:.3f}",
            f"{figures.macro_f1:.3f}",
            f"{figures.micro_precision:.3f}",
        )
    return result


def _probabilities(before: Reliability, after: Reliability) -> Table:
    result = _table("probabilities", ("", "scores", "calibrated"))
    rows = (
        ("expected calibration error", "expected_calibration_error", ".6f"),
        ("the same, mean of classes", "per_class_error", ".6f"),
        ("labels an image, expected", "labels_expected", ".2f"),
        ("labels an image, observed", "labels_observed", ".2f"),
    )
    for title, name, form in rows:
        both = (getattr(before, name), getattr(after, name))
        result.add_row(title, *(format(value, form) for value in both))
    return result


def span(least: int, most: int) -> str:
    """Returns a range of whole numbers as text.

    Example:
        >>> span(1000, 2999), span(0, 0)
        ('1,000 to 2,999', '0')
    """
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _table(title: str, columns: Iterable[str]) -> Table:
    result = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        result.add_column(name, justify="right" if place else "left")
    return result


def _three(figure: Comparison) -> list[str]:
    values = (figure.model, figure.baseline, figure.ceiling)
    return [f"{value:.3f}" for value in values]
