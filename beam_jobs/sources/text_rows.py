"""Rows of a text file: cut into parts, read, and their dead letters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from beam_jobs.files import storage
from beam_jobs.files.text_files import BadRow, first_line_number
from beam_jobs.images.image_names import AddressError
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import (
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    check_start,
)

# A part is some seconds of work: what a worker that dies costs.
TEXT_BYTES = 32 << 20


def cut_text(
    reader: str,
    path: str,
    size: int,
    options: Iterable[tuple[str, str]] = (),
    part_bytes: int = TEXT_BYTES,
) -> list[Part]:
    """Returns the parts of one text file, equally long."""
    count = max(1, -(-size // part_bytes))
    cuts = [size * number // count for number in range(count + 1)]
    return [
        Part(reader, path, start, end, options=tuple(options))
        for start, end in itertools.pairwise(cuts)
    ]


def find_rows(
    reader: str,
    path: str,
    context: Context,
    read: Callable[[Part], Read],
    what: str,
) -> Found:
    """Finds a text file of rows.

    Args:
        reader: its name.
        path: of the file.
        context: of the reader.
        read: reads a part.
        what: a row is, for the refusal.

    Raises:
        InputError: no such file, or no sound row near its start.
    """
    options = context.file_options(path)
    parts = cut_text(reader, *storage.find_file(path), options)
    check_start(parts[0], read, what)
    return Found(parts)


class MalformedRows:
    """Makes the dead letters of a text part's rows.

    The lines before the part are counted when the first one is needed.

    Args:
        part: the text part.
    """

    def __init__(self, part: Part):
        self._part = part
        self._first: int | None = None

    def __call__(
        self, index: int, detail: str, reason: Reason = Reason.MALFORMED_ROW
    ) -> Rejection:
        """Returns the Rejection of the part's line of an index from 0."""
        path = self._part.path
        if self._first is None:
            self._first = first_line_number(path, self._part.start)
        item = f"{path}:{self._first + index}"
        return Rejection(reason, item, detail, path)


def read_rows(
    part: Part,
    parse: Callable[[str], Iterable[AnnotatedImage]],
    header: bool = False,
    rows: Callable[
        [Iterator[str | BadRow]], Iterable[tuple[int, str | BadRow]]
    ] = enumerate,
) -> Read:
    """Yields what the rows of a text part say; blank lines are no rows.

    Args:
        part: the text part.
        parse: says what a row says; raises ValueError where it is malformed.
        header: the first line of the file is no row.
        rows: makes rows of lines, each with the index of its first line.
    """
    reject = MalformedRows(part)
    for index, line in rows(part.lines()):
        if not isinstance(line, str):
            yield reject(index, line.detail)
        elif line and not (header and index == 0 and part.start == 0):
            try:
                found = parse(line)
            except AddressError as error:
                yield reject(index, str(error), Reason.BAD_URL)
            except (ValueError, OSError) as error:
                yield reject(index, str(error))
            else:
                yield from found
