"""Versions of a model on disk: `<base>/<version>/` (no TensorFlow here)."""

from __future__ import annotations

from pathlib import Path

from beam_jobs.errors import InputError

SAVED_MODEL_FILE = "saved_model.pb"


def find_versions(base: Path) -> list[int]:
    """Returns the version numbers in a base folder, ascending."""
    return sorted(version_paths(base))


def version_paths(base: Path) -> dict[int, Path]:
    """Returns the folder of every version in a base folder.

    Names may start with zeros, as TensorFlow Serving reads them; of `7` and
    `007` the plain one counts.
    """
    if not base.is_dir():
        return {}
    # The longest name first: a plainer one replaces it.
    found = sorted(filter(_is_version, base.iterdir()), key=_length)
    return {int(path.name): path for path in reversed(found)}


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


def _length(path: Path) -> int:
    return len(path.name)


def _is_version(path: Path) -> bool:
    name = path.name
    # Longer ones cannot be int64, and converting them takes time.
    if not (name.isascii() and name.isdigit() and len(name) < 64):
        return False
    return int(name) < 2**63 and path.is_dir()
