"""Reader of corrections: what somebody who looked says of single labels.

A CSV with the columns `image_id`, `wnid` and `verdict`, others beside them, or
the JSON that Label Studio exports of tasks with `image_id` and `wnid` in their
data: `tagforest audit` writes both. A verdict is `present` or `absent`; a row
without one, or an unclear one, says nothing.

Corrections overrule all other sources (see `labels.label_rules`), choose no
classes and no split, and bring no image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from beam_jobs.classes.own_classes import check_class_id
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_json
from beam_jobs.files.text_files import BadRow, read_csv
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Rejection
from beam_jobs.sources.label_studio import labels_of
from beam_jobs.sources.reader import (
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
    group_files,
    malformed,
)

COLUMNS = ("image_id", "wnid", "verdict")
PRESENT, ABSENT, UNCLEAR = "present", "absent", "unclear"
VERDICTS = (PRESENT, ABSENT, UNCLEAR)
# The control of Label Studio that a verdict is chosen in.
CHOICE = "choice"
_CONFIDENCES = {PRESENT: 1.0, ABSENT: 0.0}
# Confidence by class id by image id.
Corrections = Mapping[str, Mapping[str, float]]


class Verdict(NamedTuple):
    """What one row or task says; `place` is where it stands."""

    place: str
    image_id: str
    wnid: str
    verdict: str


def find(path: str, context: Context) -> Found:
    """Finds a file, which is one part.

    Raises:
        InputError: no such file, other columns, or no sound row at its start.
    """
    file = _find_file(path)
    (part,) = group_files("corrections", [file], context.part_options())
    check_start(part, lambda part: _verdicts(part.path), "a correction")
    return Found([part], images=0)


def read(part: Part) -> Read:
    """Yields each image with its corrections, sorted.

    Of a label that is called both, present and absent, nothing is known.
    """
    said: dict[tuple[str, str], Verdict] = {}
    disputed = set()
    for row in _verdicts(part.path):
        if isinstance(row, Rejection):
            yield row
        elif row.verdict in _CONFIDENCES:
            key = (row.image_id, row.wnid)
            if said.setdefault(key, row).verdict != row.verdict:
                disputed.add(key)
    for key in sorted(disputed):
        row = said.pop(key)
        detail = f"{row.wnid} of {row.image_id} is called present and absent"
        yield malformed(part.path, row.place, detail)
    by_image: dict[str, dict[str, float]] = {}
    for (image_id, wnid), row in sorted(said.items()):
        by_image.setdefault(image_id, {})[wnid] = _CONFIDENCES[row.verdict]
    for image_id, classes in by_image.items():
        yield AnnotatedImage(
            image_id,
            Source.CORRECTIONS,
            tuple(classes),
            tuple(classes.values()),
        )


def read_files(
    paths: Iterable[str], vocabulary: Vocabulary
) -> tuple[dict[str, dict[int, float]], list[Rejection]]:
    """Reads whole files for a data set whose classes are known.

    Returns:
        Confidence by class index by image id, presence before absence; and
        the dead letters, one for each class that the vocabulary lacks too.

    Raises:
        InputError: as `find`.
    """
    found: dict[str, dict[int, float]] = {}
    letters: list[Rejection] = []
    for path in paths:
        (part,) = find(path, Context()).parts
        for item in read(part):
            if not isinstance(item, AnnotatedImage):
                letters.append(item)  # type: ignore[arg-type]
                continue
            for wnid, sure in zip(item.classes, item.confidences, strict=True):
                if wnid not in vocabulary:
                    detail = f"{wnid} is no class of the data set"
                    letters.append(malformed(path, item.image_id, detail))
                    continue
                own = found.setdefault(item.image_id, {})
                index = vocabulary.index_of(wnid)
                own[index] = max(sure, own.get(index, 0.0))
    return found, letters


def say_unknown(paths: Iterable[str], vocabulary: Vocabulary) -> str:
    """Returns a line on corrections of classes that are none here, or ""."""
    _, letters = read_files(paths, vocabulary)
    unknown = [x for x in letters if x.detail.endswith("of the data set")]
    if not unknown:
        return ""
    return (
        f"{len(unknown)} corrections say nothing here: {unknown[0].detail} "
        f"({unknown[0].item})"
    )


def _find_file(path: str) -> tuple[str, int]:
    if path.endswith(".json"):
        return check_json(path, "[]", "a JSON list of tasks is needed")
    _, header = next(read_csv(path), (1, []))
    if isinstance(header, BadRow) or not {*COLUMNS} <= {*header}:
        received = header.detail if isinstance(header, BadRow) else header
        raise InputError(
            f"{path}:1: the columns {', '.join(COLUMNS)} are needed; "
            f"received: {str(received)[:200]}"
        )
    return storage.find_file(path)


def _verdicts(path: str) -> Iterator[Verdict | Rejection]:
    rows = _json_rows(path) if path.endswith(".json") else _csv_rows(path)
    for place, row in rows:
        try:
            yield _checked(path, place, row)
        except (ValueError, InputError) as error:
            yield malformed(path, place, error)


def _checked(path: str, place: str, row: Any) -> Verdict:
    """Returns one row that says something sound.

    Raises:
        ValueError: it does not.
        InputError: of a malformed class id.
    """
    if isinstance(row, (BadRow, ValueError)):
        raise ValueError(getattr(row, "detail", str(row)))
    values = [row.get(name) or "" for name in COLUMNS]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{', '.join(COLUMNS)} must be texts")
    image_id, wnid, verdict = (value.strip() for value in values)
    if not image_id:
        raise ValueError("an image_id is needed")
    check_class_id(wnid)
    if verdict and verdict not in VERDICTS:
        allowed = ", ".join(VERDICTS)
        raise ValueError(
            f"a verdict is one of {allowed}, or empty; received: "
            f"{verdict[:80]!r}"
        )
    return Verdict(place, image_id, wnid, verdict)


def _csv_rows(path: str) -> Iterator[tuple[str, Any]]:
    rows = read_csv(path)
    _, header = next(rows)
    names = [] if isinstance(header, BadRow) else header
    for line, row in rows:
        if isinstance(row, BadRow):
            yield str(line), row
        elif len(row) == len(names):
            yield str(line), dict(zip(names, row, strict=True))
        elif row:
            detail = f"{len(names)} fields are needed; received: {len(row)}"
            yield str(line), BadRow(detail)


def _json_rows(path: str) -> Iterator[tuple[str, Any]]:
    """Yields what each task says; nothing where its annotators differ."""
    with storage.open_read(path) as file:
        try:
            tasks = json.loads(file.read().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            yield "1", ValueError(f"no JSON: {error}")
            return
    for index, task in enumerate(tasks):
        place = f"[{index}]"
        try:
            data, said = _parts_of(task)
            choices, fault = labels_of(said)
        except ValueError as error:
            yield place, error
            continue
        rows = [{**data, "verdict": choice} for choice in choices]
        if fault is not None:
            yield place, fault
        for row in rows:
            yield place, row


def _parts_of(task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a task's data, and the part of it that holds answers.

    In the shorter form both are one, and the class is no answer.

    Raises:
        ValueError: it is no task.
    """
    if not isinstance(task, dict):
        raise ValueError(f"{str(task)[:80]!r}: a task is needed")
    if isinstance(task.get("data"), dict):
        return task["data"], task
    return task, {CHOICE: task.get(CHOICE)}


READER = Reader(
    SourceOption(
        "corrections",
        "corrections",
        "Corrected labels by image id, CSV or JSON, as `tagforest audit` "
        "makes them; they overrule all other sources.",
        check_file,
    ),
    find,
    read,
)
