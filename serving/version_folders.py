"""Versions of a model on disk: `<base>/<version>/` (no TensorFlow here)."""

from __future__ import annotations

from pathlib import Path


def find_versions(base: Path) -> list[int]:
    """Returns the version numbers in a base folder, ascending."""
    if not base.is_dir():
        return []
    return sorted(int(p.name) for p in base.iterdir() if _is_version(p))


def _is_version(path: Path) -> bool:
    name = path.name
    if not (name.isascii() and name.isdigit() and path.is_dir()):
        return False
    return name == str(int(name)) and int(name) < 2**63
