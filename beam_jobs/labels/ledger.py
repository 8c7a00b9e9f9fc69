"""Why a record has a label: rule and source, in one code."""

from __future__ import annotations

import enum
from typing import TypeVar

import numpy as np

# Room for rules to come: these codes are in every record.
_RULES = 8
# Added to the source of an annotation that stands for a finer class, which
# the vocabulary lacks. It is added to a source, before the code is made: a
# uint8 has room for sources up to 127 below it.
BY_PARENT = 128

_Codes = TypeVar("_Codes", int, np.ndarray)


class Rule(enum.IntEnum):
    """Why a record has a label.

    PARENT: it was annotated with a class that the vocabulary lacks, and this
    is what that class is a kind of.
    """

    ANNOTATED = 0
    ANCESTOR = 1
    CO_OCCURRENCE = 2
    PARENT = 3


class Source(enum.IntEnum):
    """Who made the annotation behind a label.

    The numbers are in the records: a new one comes last. CORRECTIONS overrule
    all others; see `label_rules`.
    """

    IMAGENET = 0
    OPEN_IMAGES_HUMAN = 1
    OPEN_IMAGES_MACHINE = 2
    OPEN_IMAGES_BOXES = 3
    TENCENT = 4
    COCO = 5
    VOC = 6
    CSV = 7
    FOLDERS = 8
    PARQUET = 9
    WEBDATASET = 10
    CAPTIONS = 11
    LABEL_STUDIO = 12
    YOLO = 13
    CVAT = 14
    MASKS = 15
    CORRECTIONS = 16

    @property
    def kind(self) -> str:
        """The kind of source: Open Images counts as one."""
        name = self.name.lower()
        return "open_images" if name.startswith("open_images") else name


def ledger_codes(rules: _Codes, sources: _Codes) -> _Codes:
    """Returns the values of `label/ledger`.

    From the 17th source on they pass 127: int16 holds them, int8 does not.

    Example:
        >>> ledger_codes(int(Rule.ANCESTOR), int(Source.TENCENT))
        33
    """
    return sources * _RULES + rules


def rules_of(ledger: _Codes) -> _Codes:
    """Returns `Rule` codes of values of `label/ledger`."""
    return ledger % _RULES


def sources_of(ledger: _Codes) -> _Codes:
    """Returns `Source` codes of values of `label/ledger`."""
    return ledger // _RULES
