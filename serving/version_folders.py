"""Versions of a model on disk: `<base>/<version>/` (no TensorFlow here)."""

from __future__ import annotations

from pathlib import Path

from beam_jobs.errors import InputError


def find_versions(base: Path) -> list[int]:
    """Returns the version numbers in a base folder, ascending."""
    if not base.is_dir():
        return []
    return sorted(int(p.name) for p in base.iterdir() if _is_version(p))


def require_versions(base: Path) -> list[int]:
    """Returns what `find_versions` does, at least one.

    Raises:
        InputError: there is none.
    """
    found = find_versions(base)
    if not found:
        raise InputError(
            f"{base} holds no version of a model (a folder named by a number "
            "with saved_model.pb in it); `tagforest export WORKDIR --out "
            f"{base}` writes one"
        )
    return found


def _is_version(path: Path) -> bool:
    name = path.name
    if not (name.isascii() and name.isdigit() and path.is_dir()):
        return False
    return name == str(int(name)) and int(name) < 2**63
