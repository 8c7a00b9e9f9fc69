"""The splits of a data set, and how people name them."""

from __future__ import annotations

import re

TRAIN = "train"
VALIDATION = "validation"
CALIBRATION = "calibration"
TEST = "test"
# Their places are codes between the stages of a job.
SPLITS = (TRAIN, VALIDATION, CALIBRATION, TEST)

# Folders of these names above classes are splits.
FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
_NAMES = FOLDERS | {"dev": VALIDATION, "calibration": CALIBRATION}
_YEAR = re.compile(r"\d{4}$")


def parse_split(text: str) -> str | None:
    """Returns the split that a text names; None for an empty one.

    Raises:
        ValueError: another text.

    Example:
        >>> parse_split("Val"), parse_split(" testing"), parse_split("")
        ('validation', 'test', None)
    """
    name = text.strip().lower()
    if name and name not in _NAMES:
        raise ValueError(
            f"split {text[:80]!r}: one of {', '.join(_NAMES)} is needed"
        )
    return _NAMES.get(name)


def split_of_folders(path: str) -> str | None:
    """Returns the split of a path's folders, the outermost that is one.

    Example:
        >>> split_of_folders("val/dogs/1.jpg"), split_of_folders("val.jpg")
        ('validation', None)
    """
    found = (FOLDERS.get(name.lower()) for name in path.split("/")[:-1])
    return next((split for split in found if split), None)


def split_of_file(path: str) -> str | None:
    """Returns the split that the name of an annotation file says.

    Example:
        >>> split_of_file("coco/annotations/instances_val2017.json")
        'validation'
        >>> split_of_file("oidv6-train-annotations-human-imagelabels.csv")
        'train'
        >>> split_of_file("roboflow/test/_annotations.coco.json")
        'test'
    """
    *_, folder, name = ("", *path.split("/"))
    for text in (*re.split(r"[-_.]", name.lower()), folder.lower()):
        if split := FOLDERS.get(_YEAR.sub("", text)):
            return split
    return None
