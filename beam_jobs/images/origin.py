"""Whose an image is: what its source says of licence, author and address."""

from __future__ import annotations

from typing import NamedTuple

# A longer text is cut: it comes from outside, and goes into every record.
_LONGEST = 1000


class Origin(NamedTuple):
    """What a source says of an image's origin; "" where it says nothing.

    Attributes:
        license: name or URL of the licence.
        author: who made it.
        source_url: where it was found.
    """

    license: str = ""
    author: str = ""
    source_url: str = ""


def make_origin(
    license: object = "", author: object = "", source_url: object = ""
) -> Origin | None:
    """Returns the origin of texts as a source has them, None for none at all.

    Blanks are joined; of a long text the first 1000 characters are kept.

    Example:
        >>> make_origin(license=" CC BY\\n2.0 ", author=None)
        Origin(license='CC BY 2.0', author='', source_url='')
    """
    found = Origin(*map(_clean, (license, author, source_url)))
    return found if any(found) else None


def _clean(text: object) -> str:
    if not isinstance(text, str):
        return ""
    # Half of a surrogate pair, as JSON may spell it, is no text.
    sound = text.encode(errors="replace").decode()
    return " ".join(sound.split())[:_LONGEST]
