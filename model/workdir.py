"""What lies where in a training's working directory (no TensorFlow here).

config.json         the Config
vocabulary.tsv      copied from the data set, as hierarchy.tsv
checkpoints/        epoch-0003.weights.h5: weights, optimizer, loss state
model.weights.h5    the final weights
history.json        a row an epoch
logs/               TensorBoard
workers/            what each worker ended with
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs import layout, storage
from beam_jobs.errors import InputError
from model.config import Config

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
HISTORY = "history.json"
RESULT = "result.json"
CHECKPOINTS = "checkpoints"
LOGS = "logs"
WORKERS = "workers"

_CHECKPOINT = re.compile(r"epoch-(\d+)\.weights\.h5")


@dataclass(frozen=True)
class Checkpoint:
    """A finished epoch on disk.

    Attributes:
        epoch: number of epochs behind it.
    """

    path: Path
    epoch: int


def checkpoint_path(workdir: Path, epoch: int) -> Path:
    """Returns where the checkpoint after so many epochs lies."""
    return workdir / CHECKPOINTS / f"epoch-{epoch:04d}.weights.h5"


def checkpoints(workdir: Path) -> list[Checkpoint]:
    """Returns the finished epochs, oldest first."""
    found = []
    for path in (workdir / CHECKPOINTS).glob("epoch-*.weights.h5"):
        match = _CHECKPOINT.fullmatch(path.name)
        if match:
            found.append(Checkpoint(path, int(match[1])))
    return sorted(found, key=lambda c: c.epoch)


def latest_checkpoint(workdir: Path) -> Checkpoint | None:
    """Returns the last finished epoch, or None."""
    found = checkpoints(workdir)
    return found[-1] if found else None


def prepare(
    workdir: Path, dataset: str, config: Config, *, restart: bool = False
) -> None:
    """Makes the directory and writes the config and the data set's classes.

    Raises:
        InputError: it holds a training with another config or other classes.
    """
    names = (layout.VOCABULARY, layout.HIERARCHY)
    texts = {}
    for name in names:
        with storage.open_read(storage.join(dataset, name)) as file:
            texts[name] = file.read()
    texts[CONFIG] = config.to_json().encode()
    if restart:
        clear(workdir)
    for name, text in texts.items():
        path = workdir / name
        if path.is_file() and path.read_bytes() != text:
            raise InputError(
                f"{workdir} holds a training with another {name}"
                f"{_first_difference(path, config, name)}; take another "
                "--workdir, or --restart to throw that training away"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(workdir / name, text)


def clear(workdir: Path) -> None:
    """Deletes what a training wrote, and nothing else."""
    for name in (CHECKPOINTS, LOGS, WORKERS):
        shutil.rmtree(workdir / name, ignore_errors=True)
    names = (CONFIG, WEIGHTS, HISTORY, RESULT)
    for name in (*names, layout.VOCABULARY, layout.HIERARCHY):
        (workdir / name).unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON with sorted keys."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path, default: Any) -> Any:
    """Returns a JSON file's value, or the default where there is none."""
    if not path.is_file():
        return default
    return json.loads(path.read_text(encoding="utf-8"))


def check_disk(workdir: Path, needed: int) -> None:
    """Raises InputError if so many bytes do not fit on the disk."""
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


def _first_difference(path: Path, config: Config, name: str) -> str:
    if name != CONFIG:
        return ""
    old = _flat(read_json(path, {}))
    new = _flat(json.loads(config.to_json()))
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            return f" ({key} is {old.get(key)!r} there, {new.get(key)!r} here)"
    return ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
