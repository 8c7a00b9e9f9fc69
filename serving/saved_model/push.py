"""A checked version goes where a server looks; the oldest ones go."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from pathlib import Path

from serving.api.version_folders import version_paths


def push(version_dir: Path, model_dir: Path, keep: int) -> tuple[Path, bool]:
    """Copies a version to `<model_dir>/<seconds since 1970>`, atomically.

    A server that watches sees it whole or not at all. Where the newest
    version there has the same bytes, nothing is copied.

    Args:
        version_dir: a SavedModel.
        model_dir: the folder that a server watches; it is made.
        keep: how many versions stay, the newest; 0 for all.

    Returns:
        The version's folder, and whether it is new.
    """
    there = version_paths(model_dir)
    if there and folder_digest(there[max(there)]) == folder_digest(version_dir):
        return there[max(there)], False
    model_dir.mkdir(parents=True, exist_ok=True)
    # Two in one second, or a clock that was set back: still the highest.
    version = max(int(time.time()), max(there, default=0) + 1)
    # The dot keeps it from being taken for a version.
    staging = model_dir / f".staging-{uuid.uuid4().hex}"
    try:
        shutil.copytree(version_dir, staging)
        os.rename(staging, model_dir / str(version))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if keep:
        drop_old(model_dir, keep)
    return model_dir / str(version), True


def drop_old(model_dir: Path, keep: int) -> list[Path]:
    """Removes all versions but the newest; returns what it removed.

    A server that serves one of them has it in memory.
    """
    paths = version_paths(model_dir)
    old = [paths[version] for version in sorted(paths)[:-keep]]
    for path in old:
        # Out of sight first: half of a version must not be loaded.
        hidden = path.with_name(f".dropped-{uuid.uuid4().hex}")
        os.rename(path, hidden)
        shutil.rmtree(hidden)
    return old


def folder_digest(folder: Path) -> str:
    """Returns a SHA-256 over the names and bytes of all files."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
