"""Checks and clears the folder of a run before its first step."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model import checkpoint_files, extension_notes
from model.config import Config
from model.extension_notes import Note
from model.inputs import train_counts
from model.start import begin
from model.training import extension
from model.workdir import (
    CLASSIFICATION,
    CONFIG,
    COUNTS,
    DAMAGED,
    DATASET,
    DATASET_PATH,
    EXTENSIONS,
    FEATURES,
    HISTORY,
    LOG,
    LOGS,
    RECORD_INDEX,
    RESULT,
    START,
    TRACKED,
    WEIGHTS,
    WORKERS,
)


def prepare(
    workdir: Path,
    dataset: str,
    config: Config,
    *,
    restart: bool = False,
    extend: bool = False,
) -> None:
    """Makes the directory and writes the config and the data set's classes.

    Args:
        restart: clears it first.
        extend: see `check`.

    Raises:
        InputError: as `check`.
    """
    if restart:
        clear(workdir)
    note = check(workdir, dataset, config, extend=extend)
    for name, text in _identity(dataset).items():
        storage.write_text(workdir / name, text)
    # Beside what is compared: a data set may be moved.
    storage.write_text(workdir / DATASET_PATH, f"{_place(dataset)}\n")
    start = begin.plan(config, dataset, workdir)
    if start is not None:
        begin.save(start, workdir)
    if note is not None:
        extension.begin(workdir, note)
    # Last: where it lies, the rest does.
    storage.write_text(workdir / CONFIG, config.to_json())


def check(
    workdir: Path, dataset: str, config: Config, *, extend: bool = False
) -> Note | None:
    """Checks that a folder holds no other training; writes nothing.

    Args:
        extend: it holds one, and this is another schedule for it.

    Returns:
        The note of the extension, if something changes.

    Raises:
        InputError: it holds a training with another config (fields that do
            not change the result may differ), data set or other classes; or
            none to extend, or not in this way.
    """
    changes = _changes(workdir, config)
    if extend and changes is None:
        raise InputError(f"{workdir} holds no training to --extend")
    if changes and not extend:
        allowed = all(extension.is_allowed(k, v) for k, v in changes.items())
        what = f"another {CONFIG} ({extension.describe(changes)})"
        raise InputError(_refusal(workdir, what, extendable=allowed))
    for name, text in _identity(dataset).items():
        path = workdir / name
        if path.is_file() and path.read_bytes() != text.encode():
            what = "data set" if name == DATASET else name
            raise InputError(_refusal(workdir, f"another {what}"))
    return extension.check(workdir, changes, config) if changes else None


def is_of(workdir: Path, config: Config) -> bool:
    """Returns whether a folder holds the training of a config."""
    return _changes(workdir, config) == {}


def _identity(dataset: str) -> dict[str, str]:
    """Returns what a workdir keeps of its data set, by the file's name."""
    texts = {}
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        texts[name] = storage.read_text(storage.join(dataset, name))
    identity = {"fingerprint": train_counts.fingerprint(dataset)}
    texts[DATASET] = json.dumps(identity) + "\n"
    return texts


def _place(dataset: str) -> str:
    """Returns where a data set lies, from whatever folder one looks."""
    remote = storage.is_remote(dataset)
    return dataset if remote else os.path.abspath(dataset)


def _changes(workdir: Path, config: Config) -> extension.Changes | None:
    """Returns what differs from the training there; None without one."""
    path = workdir / CONFIG
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    # Through Config: fields that came later have their defaults.
    there = Config.from_json(text)
    if '"reading"' not in text:
        if not (workdir / RESULT).is_file():
            raise InputError(
                _refusal(workdir, "the order of an earlier version")
            )
        data = replace(there.data, reading=config.data.reading)
        there = replace(there, data=data)
    old = _flat(json.loads(there.to_result_json()))
    new = _flat(json.loads(config.to_result_json()))
    return {
        key: {"from": old[key], "to": new[key]}
        for key in sorted(old)
        if old[key] != new[key]
    }


def _refusal(workdir: Path, what: str, *, extendable: bool = False) -> str:
    extend = "--extend to go on with this one, " if extendable else ""
    return (
        f"{workdir} holds a training with {what}; take another --workdir, "
        f"{extend}or --restart to throw that training away"
    )


def clear(workdir: Path) -> None:
    """Deletes what a training wrote, and nothing else."""
    for name in (checkpoint_files.FOLDER, LOGS, WORKERS, RECORD_INDEX):
        shutil.rmtree(workdir / name, ignore_errors=True)
    for note in extension_notes.load(workdir):
        (workdir / (note.weights or WEIGHTS)).unlink(missing_ok=True)
    names = (
        CONFIG,
        WEIGHTS,
        EXTENSIONS,
        HISTORY,
        RESULT,
        CLASSIFICATION,
        DATASET,
        DATASET_PATH,
        START,
        FEATURES,
        COUNTS,
        DAMAGED,
        LOG,
        TRACKED,
    )
    for name in (*names, load_classes.VOCABULARY, load_classes.HIERARCHY):
        (workdir / name).unlink(missing_ok=True)


def check_disk(workdir: Path, needed: int) -> None:
    """Raises InputError if so many bytes do not fit on the disk."""
    # The folder may not be there yet: its disk is that of the nearest above.
    place = workdir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{workdir} has {free / 1e6:.0f} MB free; checkpoints and "
            f"weights need {needed / 1e6:.0f} MB; free some, or take a "
            "--workdir on another disk"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
