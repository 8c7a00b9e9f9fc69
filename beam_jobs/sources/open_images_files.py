"""Which file of an Open Images folder is what, by its published name."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_folder

LABEL_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
BOX_COLUMNS = ("ImageID", "LabelName")
IMAGE_COLUMNS = ("ImageID", "Rotation")


@dataclass(frozen=True)
class OpenImagesFiles:
    """The files of an Open Images folder, as paths.

    Attributes:
        human_labels, machine_labels: label CSVs, sorted; one may be empty.
        boxes: CSVs of boxes; may be empty.
        classes: CSVs with LabelName and DisplayName.
        images: CSVs with ImageID and Rotation; may be empty.
        overrides: CSV with LabelName and WordNetId, or None.
    """

    human_labels: tuple[str, ...]
    machine_labels: tuple[str, ...]
    boxes: tuple[str, ...]
    classes: tuple[str, ...]
    images: tuple[str, ...]
    overrides: str | None


def find_files(folder: str) -> OpenImagesFiles:
    """Returns the files of a folder, told apart by their published names.

    Raises:
        InputError: no such folder, no label CSV, no class descriptions, or a
            CSV that lacks a column.
    """
    check_folder(folder, "Open Images source")
    paths = [p for p, _ in storage.list_files(os.path.join(folder, "*.csv"))]

    def named(*patterns: str) -> tuple[str, ...]:
        return tuple(
            path
            for path in paths
            if any(fnmatch.fnmatch(os.path.basename(path), p) for p in patterns)
        )

    found = OpenImagesFiles(
        human_labels=named("*annotations-human-imagelabels*.csv"),
        machine_labels=named("*annotations-machine-imagelabels*.csv"),
        boxes=named("*annotations-bbox*.csv"),
        classes=named("*class-descriptions*.csv"),
        images=named(
            "*images-with*rotation*.csv",
            "*images-boxable*rotation*.csv",
            "*image_ids_and_rotation*.csv",
        ),
        overrides=next(iter(named("wordnet-overrides.csv")), None),
    )
    _check_files(folder, found)
    return found


def _check_files(folder: str, found: OpenImagesFiles) -> None:
    if not (found.human_labels or found.machine_labels or found.boxes):
        raise InputError(
            f"{folder}: no labels: a file named like "
            "train-annotations-human-imagelabels.csv is needed"
        )
    if not found.classes:
        raise InputError(
            f"{folder}: no class names: class-descriptions.csv is needed"
        )
    for path in found.human_labels + found.machine_labels:
        _check_header(path, LABEL_COLUMNS)
    for path in found.boxes:
        _check_header(path, BOX_COLUMNS)
    for path in found.images:
        _check_header(path, IMAGE_COLUMNS)


def _check_header(path: str, columns: tuple[str, ...]) -> None:
    header = text_files.read_header(path)
    missing = [c for c in columns if c not in header]
    if missing:
        raise InputError(
            f"{path}:1: the header lacks {', '.join(missing)}; received: "
            f"{','.join(header)[:200] or 'an empty file'}"
        )
