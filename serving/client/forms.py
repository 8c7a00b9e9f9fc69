"""Tags, boxes and masks as text: a table, JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from serving.api import contract
from serving.api.drawn import Detection, Segmentation
from serving.api.prediction import Answer, Prediction, TaggedImage

_START = ("image", "rank", "name", "wnid")
_END = ("error", "model_version")
_SIDES = ("ymin", "xmin", "ymax", "xmax")
CSV_COLUMNS = {
    contract.TAGS: (*_START, "score", "leaf", "is_tag", "parents", *_END),
    contract.DETECT: (*_START, "score", *_SIDES, *_END),
    contract.SEGMENT: (*_START, "id", "share", "mask", *_END),
}
_IMAGE_WIDTH = 40
_TABLE_COLUMNS = {
    contract.TAGS: f"score  {'wnid':9}  tag",
    contract.DETECT: "score  "
    + "".join(f"{side:>7}  " for side in _SIDES)
    + f"{'wnid':9}  box",
    contract.SEGMENT: f"share  {'wnid':9}  class",
}
# What images that were not sent would have answered.
_NOTHING: dict[str, Answer] = {
    contract.TAGS: Prediction(False, ()),
    contract.DETECT: Detection(False),
    contract.SEGMENT: Segmentation(False),
}


class Form(NamedTuple):
    """A format: its first line, and the lines of an image."""

    header: str
    lines: Callable[[TaggedImage], str]


def form_of(name: str, task: str) -> Form:
    """Returns a format for what a model does.

    Args:
        name: `table`, `json` or `csv`.
        task: see `TagClient.task`.
    """
    start = f"{'image':{_IMAGE_WIDTH}}  "
    return {
        "table": Form(start + _TABLE_COLUMNS[task] + "\n", table_lines),
        "json": Form("", json_line),
        "csv": Form(",".join(CSV_COLUMNS[task]) + "\n", csv_lines),
    }[name]


def task_of(found: TaggedImage) -> str:
    """Returns what the model did that answered validly."""
    return next(
        task
        for task, nothing in _NOTHING.items()
        if isinstance(found.prediction, type(nothing))
    )


def nothing_of(task: str) -> Answer:
    """Returns what images that were not sent would have answered."""
    return _NOTHING[task]


def json_line(found: TaggedImage) -> str:
    """Returns one object."""
    return json.dumps(found.to_json()) + "\n"


def csv_lines(found: TaggedImage) -> str:
    """Returns a line a tag, box or class; one without a rank for none."""
    image, version = printable(found.name), found.prediction.model_version
    end = (printable(found.error), version)
    rows = [
        (image, rank, *row, *end) for rank, row in enumerate(_cells(found), 1)
    ]
    blanks = len(CSV_COLUMNS[task_of(found)]) - 1 - len(end)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(rows or [(image, *[""] * blanks, *end)])
    return text.getvalue()


def _cells(found: TaggedImage) -> list[tuple]:
    answer = found.prediction
    if isinstance(answer, Detection):
        return [
            (b.name, b.wnid, b.score, b.ymin, b.xmin, b.ymax, b.xmax)
            for b in answer.boxes
        ]
    if isinstance(answer, Segmentation):
        return [
            (s.name, s.wnid, s.id, s.share, found.mask) for s in answer.segments
        ]
    return [
        (
            tag.name,
            tag.wnid,
            tag.score,
            str(tag.leaf).lower(),
            str(tag.is_tag).lower(),
            " ".join(tag.parents),
        )
        for tag in answer.tags
    ]


def table_lines(found: TaggedImage) -> str:
    """Returns a line a tag, box or class; the image stands in the first."""
    rows = _table_rows(found.prediction) or [
        f"    -  {printable(found.error) or _none(found)}"
    ]
    # A name that was cut short could not be told from its neighbours.
    image = printable(found.name)
    first = f"{image:{_IMAGE_WIDTH}}"
    if len(image) > _IMAGE_WIDTH:
        first = image + "\n" + " " * _IMAGE_WIDTH
    starts = [first] + [" " * _IMAGE_WIDTH] * (len(rows) - 1)
    lines = zip(starts, rows, strict=True)
    return "".join(f"{start}  {row}\n" for start, row in lines)


def _table_rows(answer: Answer) -> list[str]:
    if isinstance(answer, Detection):
        return _aligned(
            (
                f"{b.score:.3f}  {b.ymin:7.1f}  {b.xmin:7.1f}  {b.ymax:7.1f}  "
                f"{b.xmax:7.1f}",
                b.wnid,
                b.name,
            )
            for b in answer.boxes
        )
    if isinstance(answer, Segmentation):
        rows = ((f"{s.share:.3f}", s.wnid, s.name) for s in answer.segments)
        return _aligned(rows)
    return _aligned((f"{t.score:.3f}", t.wnid, t.name) for t in answer.tags)


def _aligned(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    found = list(rows)
    # Ids of one's own classes have any length.
    width = max((len(wnid) for _, wnid, _ in found), default=0)
    return [f"{start}  {wnid:{width}}  {name}" for start, wnid, name in found]


def _none(found: TaggedImage) -> str:
    return "no boxes" if task_of(found) == contract.DETECT else "no tags"


def printable(text: str) -> str:
    """Returns a text that any terminal shows on one line."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    if whole.isprintable():
        return whole
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in whole
    )
