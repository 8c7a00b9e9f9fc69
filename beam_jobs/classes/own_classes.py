"""Ids of classes: WordNet's, and those of classes that WordNet lacks.

A name that no synset means is a class all the same. Its id follows from the
name alone, so two jobs, sources or spellings of it agree without a register.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from beam_jobs.classes import wordnet as wn
from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset

PREFIX = "own:"
# Commas and blanks part the ids of a request, tabs the columns of a table.
_SEPARATORS = re.compile(r"[\s_\-,;|/\\:\"]+")
_OWN_ID = re.compile(r"own:[^\s\-,;|/\\:\"]+")


def normalise(name: str) -> str:
    r"""Returns the form in which two spellings of a name are equal.

    Unicode's NFKC and casefold, without control characters; blanks and
    separators (`_ - , ; | / \ : "`) are one `_`. Letters of any script stay.

    Example:
        >>> normalise("Stop-Sign"), normalise(" stop  sign ")
        ('stop_sign', 'stop_sign')
        >>> normalise("Straße 7"), normalise("长颈鹿"), normalise("C++")
        ('strasse_7', '长颈鹿', 'c++')
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    # Casefolding may undo the composition: once more.
    text = unicodedata.normalize("NFKC", text)
    text = _SEPARATORS.sub("_", text).strip("_")
    return "".join(c for c in text if unicodedata.category(c)[0] != "C")


def plain_name(name: str) -> str:
    r"""Returns a name on one line, without what a terminal would obey.

    Example:
        >>> plain_name("stop\t sign\x1b[2J")
        'stop sign[2J'
    """
    line = " ".join(name.split())
    return "".join(c for c in line if unicodedata.category(c) != "Cc")


def own_id(name: str) -> str:
    """Returns the id of a class of one's own; "" for a name of no letters.

    The colon keeps it apart from every WordNet id, `n` and 8 digits.

    Example:
        >>> own_id("Stop sign"), own_id("n02084071"), own_id(" - ")
        ('own:stop_sign', 'own:n02084071', '')
    """
    text = normalise(name)
    return f"{PREFIX}{text}" if text else ""


def is_own(class_id: str) -> bool:
    """Tells whether an id is one that `own_id` makes.

    Example:
        >>> is_own("own:stop_sign"), is_own("own:Stop"), is_own("n02084071")
        (True, False, False)
    """
    return (
        _OWN_ID.fullmatch(class_id) is not None
        and own_id(class_id.removeprefix(PREFIX)) == class_id
    )


def is_class_id(text: str) -> bool:
    """Tells whether a text is written as a WordNet id or an own id."""
    return wn.WNID_PATTERN.fullmatch(text) is not None or is_own(text)


def check_class_id(text: str, place: str = "") -> None:
    """Checks an id as `is_class_id` does.

    Raises:
        InputError: it is none; `place` says where it stands.
    """
    if not is_class_id(text):
        where = f"{place}: " if place else ""
        hint = own_id(text.removeprefix(PREFIX)) or "own:stop_sign"
        raise InputError(
            f"{where}a class is a WordNet id, 'n' and 8 digits, as n02084071, "
            f"or a class of one's own, as {hint}; received: {text!r}"
        )


def find_synset(class_id: str, wordnet) -> Synset | None:
    """Returns the synset of an id; None for a class that WordNet lacks."""
    if not wn.WNID_PATTERN.fullmatch(class_id):
        return None
    try:
        return wn.synset_of(class_id, wordnet)
    except InputError:
        return None


def name_of(class_id: str, wordnet) -> str:
    """Returns the names of a class; of an own one what its id says."""
    synset = find_synset(class_id, wordnet)
    if synset is not None:
        return wn.names_of(synset)
    return class_id.removeprefix(PREFIX).replace("_", " ")
