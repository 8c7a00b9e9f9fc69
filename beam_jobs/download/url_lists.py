"""Lists of URLs: Tencent's, plain ones, CSVs with a column of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.images.image_names import is_url
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import Part, check_start
from beam_jobs.sources.text_rows import MalformedRows, cut_text

# Tried in this order; the last two are those of the Open Images image CSVs.
COLUMNS = ("url", "OriginalURL", "Thumbnail300KURL")
_COLUMN = "column"
_NEEDED = (
    "a list of URLs, one at the start of each line, or a CSV with a column "
    f"{' or '.join(COLUMNS)} (--url-column names another)"
)


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
        of_list = cut_text("urls", found, size, options)
        check_start(of_list[0], _sound_urls, _NEEDED)
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


def _sound_urls(part: Part) -> Iterator[str | Rejection]:
    for row in read_urls(part):
        if isinstance(row, Rejection) or is_url(row):
            yield row
        else:
            detail = f"{row[:80]!r} is no URL"
            yield Rejection(Reason.BAD_URL, part.path, detail, part.path)
