"""What was found, to a file that is whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from beam_jobs.errors import InputError


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
def whole_file(path: Path, *, go_on: bool = False) -> Iterator[TextIO]:
    """Opens a file that appears under its name when the block ends well.

    If it does not, the lines stay in `part_of(path)`.

    Args:
        go_on: add to what `part_of(path)` has.
    """
    part = part_of(path)
    with part.open("a" if go_on else "w", encoding="utf-8") as file:
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
