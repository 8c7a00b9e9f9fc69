"""Reader of Open Images sources: label, class and image CSVs, image files.

File formats: https://storage.googleapis.com/openimages/web/download_v7.html
"""

from __future__ import annotations

import fnmatch
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from beam_jobs import files
from beam_jobs.annotations import Reason, Rejection
from beam_jobs.checks import check_folder
from beam_jobs.errors import InputError
from beam_jobs.records import Source

_LABEL_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
_IMAGE_COLUMNS = ("ImageID", "Rotation")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_ROWS_CHECKED = 1001


@dataclass(frozen=True)
class OpenImagesFiles:
    """The files of an Open Images folder, as paths.

    Attributes:
        human_labels, machine_labels: label CSVs, sorted; one may be empty.
        classes: CSVs with LabelName and DisplayName.
        images: CSVs with ImageID and Rotation; may be empty.
        overrides: CSV with LabelName and WordNetId, or None.
        patterns: where the image files lie.
    """

    human_labels: tuple[str, ...]
    machine_labels: tuple[str, ...]
    classes: tuple[str, ...]
    images: tuple[str, ...]
    overrides: str | None
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class LabelRow:
    """One row of a label CSV."""

    image_id: str
    label_name: str
    confidence: float
    source: Source


def find_files(folder: str) -> OpenImagesFiles:
    """Returns the files of a folder, told apart by their published names.

    Raises:
        InputError: no such folder, no label CSV, no class descriptions, or a
            CSV that is empty or malformed near its start (file:line).
    """
    check_folder(folder, "Open Images source")
    paths = [p for p, _ in files.list_files(os.path.join(folder, "*.csv"))]

    def named(pattern: str) -> tuple[str, ...]:
        return tuple(
            p for p in paths if fnmatch.fnmatch(os.path.basename(p), pattern)
        )

    found = OpenImagesFiles(
        human_labels=named("*annotations-human-imagelabels*.csv"),
        machine_labels=named("*annotations-machine-imagelabels*.csv"),
        classes=named("*class-descriptions*.csv"),
        images=named("*images-with*rotation*.csv"),
        overrides=next(iter(named("wordnet-overrides.csv")), None),
        patterns=tuple(
            os.path.join(folder, "images", nesting)
            for nesting in ("*", "*/*", "*/*/*")
        ),
    )
    _check_files(folder, found)
    return found


def _check_files(folder: str, found: OpenImagesFiles) -> None:
    if not (found.human_labels or found.machine_labels):
        raise InputError(
            f"{folder}: no labels: a file named like "
            "train-annotations-human-imagelabels.csv is needed"
        )
    if not found.classes:
        raise InputError(
            f"{folder}: no class names: class-descriptions.csv is needed"
        )
    for path in found.human_labels + found.machine_labels:
        check_csv(path, _LABEL_COLUMNS)
    for path in found.images:
        check_csv(path, _IMAGE_COLUMNS)


def check_csv(path: str, columns: tuple[str, ...]) -> None:
    """Checks the header and the first rows of a CSV.

    Raises:
        InputError: unreadable, empty, a column missing, or the first row
            that has another number of fields than the header (file:line).
    """
    rows = list(itertools.islice(files.read_csv(path), _ROWS_CHECKED))
    header = _sound(path, *rows[0]) if rows else []
    missing = [c for c in columns if c not in header]
    if missing:
        raise InputError(
            f"{path}:1: the header lacks {', '.join(missing)}; received: "
            f"{','.join(header)[:200] if rows else 'an empty file'}"
        )
    if len(rows) == 1:
        raise InputError(f"{path}: a header and no rows")
    if not any(_has_fields(row, len(header)) for _, row in rows[1:]):
        line, row = rows[1]
        raise InputError(
            f"{path}:{line}: {len(header)} fields are needed, as in the "
            f"header; received: {len(_sound(path, line, row))}"
        )


def _sound(path: str, line: int, row: list[str] | files.BadRow) -> list[str]:
    if isinstance(row, files.BadRow):
        raise InputError(f"{path}:{line}: not a CSV file: {row.detail}")
    return row


def _has_fields(row: list[str] | files.BadRow, count: int) -> bool:
    return not isinstance(row, files.BadRow) and len(row) == count


def read_labels(path: str, source: Source) -> Iterator[LabelRow | Rejection]:
    """Yields the rows of a label CSV; a malformed one becomes a Rejection."""
    for line, row in _read_rows(path):
        if isinstance(row, Rejection):
            yield row
            continue
        try:
            confidence = float(row["Confidence"])
            if not 0 <= confidence <= 1:
                raise ValueError(row["Confidence"])
        except ValueError:
            yield _malformed(
                path, line, f"Confidence {row['Confidence']!r}, not 0 to 1"
            )
            continue
        yield LabelRow(row["ImageID"], row["LabelName"], confidence, source)


def read_rotations(path: str) -> Iterator[tuple[str, int] | Rejection]:
    """Yields (image id, degrees to turn counter-clockwise) of image rows."""
    for line, row in _read_rows(path):
        if isinstance(row, Rejection):
            yield row
            continue
        text = row["Rotation"] or "0"
        try:
            degrees = int(float(text))
        except (ValueError, OverflowError):
            degrees = -1
        if degrees not in (0, 90, 180, 270):
            yield _malformed(
                path, line, f"Rotation {text!r}, not 0, 90, 180 or 270"
            )
            continue
        yield row["ImageID"], degrees


def read_display_names(paths: tuple[str, ...]) -> dict[str, str]:
    """Returns display names by label name; files with or without a header.

    Raises:
        InputError: a malformed row (file:line).
    """
    names: dict[str, str] = {}
    for path in paths:
        for line, row in files.read_sound_csv(path):
            if row[:1] == ["LabelName"]:
                continue
            if len(row) < 2 or not row[0].startswith("/"):
                raise InputError(
                    f"{path}:{line}: a label name as /m/0bt9lr and a display "
                    f"name are needed; received: {','.join(row)[:200]}"
                )
            names.setdefault(row[0], row[1])
    if not names:
        raise InputError(f"{', '.join(paths)}: no class names: an empty file")
    return names


def image_id_of(path: str) -> str | None:
    """Returns the ImageID of an image file, None for any other file."""
    name = PurePosixPath(path)
    return name.stem if name.suffix.lower() in _SUFFIXES else None


def _read_rows(
    path: str,
) -> Iterator[tuple[int, dict[str, str] | Rejection]]:
    rows = files.read_csv(path)
    header = _sound(path, *next(rows))
    for line, row in rows:
        if isinstance(row, files.BadRow):
            yield line, _malformed(path, line, row.detail)
        elif len(row) != len(header):
            detail = f"{len(row)} fields, not {len(header)}"
            yield line, _malformed(path, line, detail)
        else:
            yield line, dict(zip(header, row, strict=True))


def _malformed(path: str, line: int, detail: str) -> Rejection:
    return Rejection(Reason.MALFORMED_ROW, f"{path}:{line}", detail, path)
