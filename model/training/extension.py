"""Going on with another schedule (no TensorFlow here).

A checkpoint has all that a training needs, so one that is over goes on like
one that was stopped. What a checkpoint holds must keep its shape and meaning:
no other network, data or loss, and no other count of steps in an epoch.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from beam_jobs.errors import InputError
from model import extension_notes
from model import workdir as files
from model.checkpoint_files import Position, latest_checkpoint
from model.config import Config, ScheduleConfig
from model.extension_notes import Note

# Field -> {"from": value, "to": value}.
Changes = Mapping[str, Mapping[str, Any]]

_FIXED = ("schedule.batch_size", "schedule.optimizer")


def is_allowed(field: str, change: Mapping[str, Any]) -> bool:
    """Returns whether a training can go on with another value of a field."""
    # Without momentum the optimizer has no variables for it, nor for averages.
    if field in ("schedule.momentum", "schedule.average"):
        return bool(change["from"] and change["to"])
    return field.startswith("schedule.") and field not in _FIXED


def check(workdir: Path, changes: Changes, config: Config) -> Note:
    """Returns the note of an extension, which is not written yet.

    Raises:
        InputError: a field that cannot change, fewer epochs than are behind,
            or a training that is over and has no checkpoint.
    """
    wrong = {k: v for k, v in changes.items() if not is_allowed(k, v)}
    if wrong:
        raise InputError(
            "--extend goes on with another schedule alone, of the same "
            "batch_size, optimizer, use of momentum and of average; "
            f"{describe(wrong)}; "
            "take another --workdir, or --restart to throw the training in "
            f"{workdir} away"
        )
    final = workdir / files.WEIGHTS
    found = latest_checkpoint(workdir)
    if found is None and final.is_file():
        raise InputError(
            f"{workdir} has no checkpoint to go on from: what the optimizer "
            "knew is gone; take another --workdir"
        )
    position = found.position if found else Position()
    least = position.epoch + bool(position.batch)
    if config.schedule.epochs < least:
        raise InputError(
            f"schedule.epochs must be at least {least}: the training stands "
            f"after {position}; received: {config.schedule.epochs}"
        )
    kept = f"model-epoch-{position.epoch}.weights.h5"
    return Note(
        step=position.step,
        epoch=position.epoch,
        batch=position.batch,
        changed=changes,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        weights=kept if final.is_file() else None,
        result=files.read_json(workdir / files.RESULT, None),
    )


def describe(changes: Changes) -> str:
    """Returns the changes in words, for a refusal."""
    return ", ".join(
        f"{k} is {v['from']!r} there, {v['to']!r} here"
        for k, v in changes.items()
    )


def begin(workdir: Path, note: Note) -> None:
    """Writes the note; a training that was over is so no more.

    To be called before the new config is written: what is killed in between
    does the same again.
    """
    extension_notes.add(workdir, note)
    (workdir / files.RESULT).unlink(missing_ok=True)
    if note.weights:
        os.replace(workdir / files.WEIGHTS, workdir / note.weights)


def schedule_before(
    schedule: ScheduleConfig, notes: Sequence[Note]
) -> ScheduleConfig:
    """Returns the schedule that the extensions replaced.

    Args:
        notes: the last ones, oldest first.
    """
    for note in reversed(notes):
        old = {k.partition(".")[2]: v["from"] for k, v in note.changed.items()}
        schedule = dataclasses.replace(schedule, **old)
    return schedule
