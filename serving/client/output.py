"""Tags as text: a table, JSON lines or CSV, to a file that is whole or not."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from beam_jobs.errors import InputError
from serving.api.prediction import TaggedImage

CSV_COLUMNS = (
    "image",
    "rank",
    "name",
    "wnid",
    "score",
    "leaf",
    "is_tag",
    "parents",
    "error",
    "model_version",
)
_IMAGE_WIDTH = 40


class Form(NamedTuple):
    """A format: its first line, and the lines of an image."""

    header: str
    lines: Callable[[TaggedImage], str]


def json_line(found: TaggedImage) -> str:
    """Returns one object."""
    return json.dumps(found.to_json()) + "\n"


def csv_lines(found: TaggedImage) -> str:
    """Returns a line a tag; one without a rank for an image with none."""
    image, version = _printable(found.name), found.prediction.model_version
    end = (_printable(found.error), version)
    rows: list[tuple] = [
        (
            image,
            rank,
            tag.name,
            tag.wnid,
            tag.score,
            str(tag.leaf).lower(),
            str(tag.is_tag).lower(),
            " ".join(tag.parents),
            *end,
        )
        for rank, tag in enumerate(found.prediction.tags, 1)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(rows or [(image, *[""] * 7, *end)])
    return text.getvalue()


def table_lines(found: TaggedImage) -> str:
    """Returns a line a tag; the image stands in the first."""
    tags = found.prediction.tags
    # Ids of one's own classes have any length.
    width = max((len(t.wnid) for t in tags), default=0)
    rows = [f"{t.score:.3f}  {t.wnid:{width}}  {t.name}" for t in tags] or [
        f"    -  {_printable(found.error) or 'no tags'}"
    ]
    # A name that was cut short could not be told from its neighbours.
    image = _printable(found.name)
    first = f"{image:{_IMAGE_WIDTH}}"
    if len(image) > _IMAGE_WIDTH:
        first = image + "\n" + " " * _IMAGE_WIDTH
    starts = [first] + [" " * _IMAGE_WIDTH] * (len(rows) - 1)
    lines = zip(starts, rows, strict=True)
    return "".join(f"{start}  {row}\n" for start, row in lines)


def _printable(text: str) -> str:
    """Returns a text that any terminal shows on one line."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    if whole.isprintable():
        return whole
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in whole
    )


FORMS = {
    "table": Form(
        f"{'image':{_IMAGE_WIDTH}}  score  {'wnid':9}  tag\n",
        table_lines,
    ),
    "json": Form("", json_line),
    "csv": Form(",".join(CSV_COLUMNS) + "\n", csv_lines),
}


def part_of(path: Path) -> Path:
    """Returns where a file's lines are until it is whole."""
    return path.with_name(path.name + ".part")


def check_out(path: Path) -> None:
    """Checks that a file can be written.

    Raises:
        InputError: its folder is missing, or it is a folder.
    """
    if path.is_dir():
        raise InputError(f"--out takes a file, not a folder; received: {path}")
    if not path.parent.is_dir():
        raise InputError(f"--out: no such folder: {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--out: cannot write to {path.parent}")


@contextmanager
def whole_file(
    path: Path, header: str = "", *, go_on: bool = False
) -> Iterator[TextIO]:
    """Opens a file that appears under its name when the block ends well.

    If it does not, the lines stay in `part_of(path)`.

    Args:
        header: its first line.
        go_on: add to what `part_of(path)` has.
    """
    part = part_of(path)
    with part.open("a" if go_on else "w", encoding="utf-8") as file:
        file.write(header)
        start = file.tell()
        try:
            yield file
        except BaseException:
            # No line has come: --resume would take the empty file for all.
            if not go_on and file.tell() == start:
                part.unlink()
            raise
    os.replace(part, path)


def take_up(path: Path) -> set[str]:
    """Starts `part_of(path)` with the tags that an earlier run found.

    They are taken from `part_of(path)`, else from the file itself. Images
    with an error are left out: they will be tried again.

    Returns:
        The names of the images.

    Raises:
        InputError: a line that is none of `tagforest tag`.
    """
    part = part_of(path)
    old = part if part.exists() else path
    done: set[str] = set()
    # Beside it: until the new one is whole, the old one stays.
    fresh = part.with_name(part.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        for line, row in _sound_lines(old) if old.exists() else ():
            if row["valid"] and row["image"] not in done:
                done.add(row["image"])
                file.write(line)
    os.replace(fresh, part)
    return done


def _sound_lines(path: Path) -> Iterator[tuple[str, dict]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return  # cut off when the run ended
            try:
                row = json.loads(line)
                row["image"], row["valid"]
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{path}:{number}: no line of `tagforest tag --format "
                    "json`; --resume goes on with such a file only"
                ) from error
            yield line, row
