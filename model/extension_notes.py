"""What `tagforest train --extend` has changed, and when (no TensorFlow here).

`extensions.json` of a workdir is a list of notes, oldest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from beam_jobs.option_fields import from_mapping
from model import workdir as files
from model.checkpoint_files import Position


@dataclass(frozen=True)
class Note:
    """One extension.

    Attributes:
        step, epoch, batch: where the training stood, see `Position`.
        changed: field of the config -> {"from": value, "to": value}.
        time: UTC.
        weights: what became of final weights that there were: a file of
            the workdir.
        result: of the training until then, if it was over.
    """

    step: int
    epoch: int
    batch: int
    changed: Mapping[str, Mapping[str, Any]]
    time: str
    weights: str | None = None
    result: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        where = Position(self.step, self.epoch, self.batch)
        changed = self.changed.items()
        what = ", ".join(f"{k} {v['from']} -> {v['to']}" for k, v in changed)
        return f"extended after {where}: {what}"


def load(workdir: Path) -> list[Note]:
    """Returns the notes of a workdir, oldest first."""
    rows = files.read_json(workdir / files.EXTENSIONS, [])
    return [from_mapping(Note, row) for row in rows]


def add(workdir: Path, note: Note) -> None:
    """Adds a note, but not twice."""
    notes = load(workdir)
    # Who was killed before the config was written comes again.
    last = notes[-1] if notes else None
    if last and (last.step, last.changed) == (note.step, note.changed):
        return
    _write(workdir, [*notes, note])


def beginning(workdir: Path, position: Position) -> list[Note]:
    """Returns the notes of extensions that begin where a training goes on.

    Where checkpoints behind it were damaged, what was to begin there does so
    here.
    """
    return [n for n in _settled(workdir, position) if n.step == position.step]


def settle(workdir: Path, position: Position) -> None:
    """Writes where they really begin, see `beginning`; the chief's."""
    settled = _settled(workdir, position)
    if settled != load(workdir):
        _write(workdir, settled)


def _settled(workdir: Path, position: Position) -> list[Note]:
    here = {n: getattr(position, n) for n in ("step", "epoch", "batch")}
    return [
        replace(note, **here) if note.step > position.step else note
        for note in load(workdir)
    ]


def _write(workdir: Path, notes: list[Note]) -> None:
    rows = [asdict(note) for note in notes]
    files.write_json(workdir / files.EXTENSIONS, rows)
