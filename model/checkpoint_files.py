"""Checkpoints on disk: complete or not there (no TensorFlow here).

A checkpoint is `step-000000123.weights.h5` and, written after it,
`step-000000123.json`, which says where the training stood and what the
weights' SHA-256 is. Both are renamed into place once the disk has them, so
a crash leaves a checkpoint that is complete, or one without its JSON, which
no reader takes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.option_fields import from_mapping
from model.workdir import WEIGHTS

FOLDER = "checkpoints"

_WEIGHTS = ".weights.h5"
_NAME = re.compile(r"step-(\d+)\.weights\.h5")
_PARTIAL = "partial-"


@dataclass(frozen=True)
class Best:
    """The best epoch so far, by a figure of the validation split.

    Attributes:
        figure: one of `schedule.best`.
        value: of it.
        epoch, step: whole epochs and steps behind it; its checkpoint stays.
        looks: since then, none of them better.
    """

    figure: str
    value: float
    epoch: int
    step: int
    looks: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch} ({self.figure} {self.value:.4f})"


@dataclass(frozen=True)
class Position:
    """Where a training stands.

    Attributes:
        step: training steps behind it.
        epoch: whole epochs behind it.
        batch: steps of the epoch after them that are behind it.
        loss_total, loss_count: state of that epoch's mean loss, over all
            replicas.
        best: None before the first look, or where none is asked for.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_total: float = 0.0
    loss_count: float = 0.0
    best: Best | None = None

    def __str__(self) -> str:
        if not self.batch:
            return f"step {self.step}, the end of epoch {self.epoch}"
        return f"step {self.step}, step {self.batch} of epoch {self.epoch + 1}"


@dataclass(frozen=True)
class Checkpoint:
    """One on disk.

    Attributes:
        path: of the weights, optimizer and loss state.
        position: where the training stood.
        bytes: of the weights' file.
        sha256: of it, hex.
    """

    path: Path
    position: Position
    bytes: int
    sha256: str


def checkpoint_path(workdir: Path, step: int) -> Path:
    """Returns where the checkpoint after so many steps lies."""
    return workdir / FOLDER / f"step-{step:09d}{_WEIGHTS}"


def partial_path(workdir: Path, step: int) -> Path:
    """Returns where to write it; no reader looks there."""
    path = checkpoint_path(workdir, step)
    # Keras wants the ending.
    return path.with_name(f"{_PARTIAL}{path.name}")


def publish(workdir: Path, position: Position) -> Checkpoint:
    """Makes what was written to `partial_path` a checkpoint."""
    partial = partial_path(workdir, position.step)
    path = checkpoint_path(workdir, position.step)
    _described(path).unlink(missing_ok=True)
    found = Checkpoint(
        path, position, partial.stat().st_size, storage.sha256(partial)
    )
    _to_disk(partial)
    partial.replace(path)
    content = {**asdict(found), "path": path.name}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    partial = partial.with_suffix(".json")
    partial.write_text(text, encoding="utf-8")
    _to_disk(partial)
    partial.replace(_described(path))
    _to_disk(path.parent)
    return found


def checkpoints(workdir: Path) -> list[Checkpoint]:
    """Returns all that claim to be complete, oldest first."""
    found = [_load(path) for path in _weight_files(workdir)]
    return [checkpoint for checkpoint in found if checkpoint is not None]


def latest_checkpoint(
    workdir: Path, say: Callable[[str], object] = print
) -> Checkpoint | None:
    """Returns the last one that is whole, or None.

    Args:
        say: gets a line for each that is passed over.
    """
    for path in reversed(_weight_files(workdir)):
        wrong, checkpoint = inspect(path)
        if not wrong:
            return checkpoint
        say(f"{path} is passed over: {wrong}")
    return None


def weights_file(folder: Path) -> Path:
    """Returns where the final weights of a training lie.

    Those of the last finished epoch while it is not over.

    Raises:
        InputError: nothing has been trained there yet.
    """
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    found = latest_checkpoint(folder)
    if found is None:
        raise InputError(
            f"{folder} has no finished epoch yet; go on with `tagforest "
            f"train DATASET --workdir {folder}`"
        )
    return found.path


def inspect(path: Path) -> tuple[str, Checkpoint | None]:
    """Returns what is wrong with a checkpoint (or ""), and what it says."""
    checkpoint = _load(path)
    if checkpoint is None:
        return "its writing was interrupted", None
    if not path.is_file() or path.stat().st_size != checkpoint.bytes:
        return "it has not the length it was written with", checkpoint
    if storage.sha256(path) != checkpoint.sha256:
        return "its content has changed since it was written", checkpoint
    return "", checkpoint


def remove_after(workdir: Path, step: int) -> None:
    """Deletes half-written checkpoints, and all of later steps."""
    for path in (workdir / FOLDER).glob(f"{_PARTIAL}*"):
        path.unlink()
    for path in _weight_files(workdir):
        if _step_of(path) > step:
            _remove(path)


def prune(workdir: Path, keep: int) -> None:
    """Deletes all but the newest, and the best ones that these name."""
    paths = _weight_files(workdir)
    newest = [_load(path) for path in paths[-keep:]]
    named = [c.position.best for c in newest if c is not None]
    best = {b.step for b in named if b is not None}
    for path in paths[:-keep]:
        if _step_of(path) not in best:
            _remove(path)


def _remove(path: Path) -> None:
    # In this order it is never without weights and yet complete.
    _described(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _weight_files(workdir: Path) -> list[Path]:
    found = (workdir / FOLDER).glob(f"step-*{_WEIGHTS}")
    return sorted((p for p in found if _NAME.fullmatch(p.name)), key=_step_of)


def _step_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _described(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_WEIGHTS) + ".json")


def _load(path: Path) -> Checkpoint | None:
    try:
        content = json.loads(_described(path).read_text(encoding="utf-8"))
        return replace(from_mapping(Checkpoint, content), path=path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _to_disk(path: Path) -> None:
    """Waits until the disk has a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
