"""Lists of URLs: Tencent's, plain ones, CSVs with a column of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.images.find_images import is_url
from beam_jobs.rejections import Rejection
from beam_jobs.sources.reader import MalformedRows, Part, cut_text

KIND = "urls"
# Tried in this order; the last two are those of the Open Images image CSVs.
COLUMNS = ("url", "OriginalURL", "Thumbnail300KURL")
_COLUMN = "column"
_ROWS_CHECKED = 1000


def find_lists(
    paths: Sequence[str], url_column: str | None = None
) -> list[Part]:
    """Returns the parts of all lists, in the order given.

    Args:
        paths: one URL a line, first on it; or CSVs with a header.
        url_column: the column of the CSVs; None: the first of `COLUMNS`.

    Raises:
        InputError: a list that is missing, empty, without that column, or
            without a URL in its first rows.
    """
    parts = []
    for path in paths:
        found, size = storage.find_file(path)
        column = _column(found, url_column)
        options = () if column is None else ((_COLUMN, str(column)),)
        of_list = cut_text(KIND, found, size, options)
        _check_start(of_list[0])
        parts += of_list
    return parts


def read_urls(part: Part) -> Iterator[str | Rejection]:
    """Yields what should be the URL of each row; it is not checked here."""
    malformed = MalformedRows(part)
    column = part.option(_COLUMN)
    for index, line in enumerate(part.lines()):
        if isinstance(line, text_files.BadRow):
            yield malformed(index, line.detail)
        elif column is None:
            yield from line.split(maxsplit=1)[:1]
        elif line.strip() and (index or part.start):
            url = _field(line, int(column))
            yield (
                malformed(index, url.detail)
                if isinstance(url, text_files.BadRow)
                else url
            )


def _field(line: str, column: int) -> str | text_files.BadRow:
    fields = text_files.split_csv(line)
    if isinstance(fields, text_files.BadRow):
        return fields
    if len(fields) <= column or not fields[column].strip():
        return text_files.BadRow(f"no URL in column {column + 1}")
    return fields[column].strip()


def _column(path: str, wanted: str | None) -> int | None:
    """Returns the column of the URLs, None for a list that is no CSV."""
    fields = [field.strip() for field in text_files.read_header(path)]
    if wanted is not None:
        if wanted not in fields:
            raise InputError(
                f"{path}: no column {wanted!r}; it has: {', '.join(fields)}"
            )
        return fields.index(wanted)
    return next((fields.index(c) for c in COLUMNS if c in fields), None)


def _check_start(part: Part) -> None:
    first = None
    for row in itertools.islice(read_urls(part), _ROWS_CHECKED):
        if isinstance(row, str) and is_url(row):
            return
        first = first or row
    raise InputError(
        f"{part.path}: a list of URLs is needed, one at the start of each "
        f"line, or a CSV with a column {' or '.join(COLUMNS)} (--url-column "
        f"names another); the first row holds {_shown(first)}"
    )


def _shown(row: str | Rejection | None) -> str:
    if row is None:
        return "nothing"
    return row.detail if isinstance(row, Rejection) else repr(row[:80])
