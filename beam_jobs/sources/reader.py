"""What every reader yields: an image, where it lies, what is said of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from beam_jobs.errors import InputError
from beam_jobs.files.text_files import BadRow, first_line_number, read_lines
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection

TEXT_BYTES = 32 << 20
GROUP_BYTES = 64 << 20
GROUP_FILES = 4096
_ROWS_CHECKED = 1000


class AnnotatedImage(NamedTuple):
    """Something that a source says of one image.

    Several may speak of the same image: one names its file, one its rotation,
    others its classes. They are joined by `image_id`.

    Attributes:
        image_id: `<kind of source>/<id>`, unique in the data set.
        source: who speaks.
        classes: class keys, a WordNet id (`n02084071`) or `<kind>:<name>` as
            the source spells it (`oi:/m/0bt9lr`, `coco:dog`).
        confidences: one a class; 0 is verified absent, else over 0 to 1.
        ref: where its bytes lie, if this source knows.
        rotation: degrees to turn it counter-clockwise to be upright, if this
            source knows.
    """

    image_id: str
    source: Source
    classes: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    ref: ImageRef | None = None
    rotation: int | None = None


Read = Iterator[AnnotatedImage | Rejection]


@dataclass(frozen=True)
class Part:
    """One piece of work for a worker; small, and picklable.

    Attributes:
        kind: which reader takes it.
        path: its file, or the first of its files.
        start, end: the lines of a text whose first byte lies in
            [start, end); -1 is the end of the file.
        files: (path, bytes) of files that are read as a whole.
        options: (name, value) for the reader; a name may stand twice.
    """

    kind: str
    path: str
    start: int = 0
    end: int = -1
    files: tuple[tuple[str, int], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str | None:
        """Returns the first value of an option, None if it is not given."""
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Returns all values of an option."""
        return tuple(value for key, value in self.options if key == name)

    def lines(self) -> Iterator[str | BadRow]:
        """Yields the lines of a text part, without their ends."""
        return read_lines(self.path, self.start, self.end)


def cut_text(
    kind: str,
    path: str,
    size: int,
    options: Iterable[tuple[str, str]] = (),
    part_bytes: int = TEXT_BYTES,
) -> list[Part]:
    """Returns the parts of one text file, equally long."""
    count = max(1, -(-size // part_bytes))
    cuts = [size * number // count for number in range(count + 1)]
    return [
        Part(kind, path, start, end, options=tuple(options))
        for start, end in itertools.pairwise(cuts)
    ]


def group_files(
    kind: str,
    found: Iterable[tuple[str, int]],
    options: Iterable[tuple[str, str]] = (),
    max_bytes: int = GROUP_BYTES,
    max_files: int = GROUP_FILES,
) -> list[Part]:
    """Returns parts of whole files, in their order.

    A group is closed when it holds `max_bytes` or more, or `max_files`.
    """
    groups: list[list[tuple[str, int]]] = [[]]
    total = 0
    for path, size in found:
        if total >= max_bytes or len(groups[-1]) >= max_files:
            groups.append([])
            total = 0
        groups[-1].append((path, size))
        total += size
    return [
        Part(kind, group[0][0], files=tuple(group), options=tuple(options))
        for group in groups
        if group
    ]


class MalformedRows:
    """Makes the dead letters of a text part's rows.

    The lines before the part are counted when the first one is needed.

    Args:
        part: the text part.
    """

    def __init__(self, part: Part):
        self._part = part
        self._first: int | None = None

    def __call__(self, index: int, detail: str) -> Rejection:
        """Returns the Rejection of the part's line of an index from 0."""
        path = self._part.path
        if self._first is None:
            self._first = first_line_number(path, self._part.start)
        item = f"{path}:{self._first + index}"
        return Rejection(Reason.MALFORMED_ROW, item, detail, path)


def check_start(part: Part, read: Callable[[Part], Read], what: str) -> None:
    """Checks that one of the first 1000 rows is sound.

    Raises:
        InputError: none is; says what is wrong with the first (file:line).
    """
    first: Rejection | None = None
    for item in itertools.islice(read(part), _ROWS_CHECKED):
        if not isinstance(item, Rejection):
            return
        first = first or item
    if first is None:
        raise InputError(f"{part.path}: {what} is needed; received: no row")
    raise InputError(
        f"{first.item}: {first.detail}; {what} is needed, and none of the "
        "first rows is one"
    )
