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
    check_base(base)
    found = find_versions(base)
    if not found:
        raise no_version(base)
    return found


def no_version(base: Path | str) -> InputError:
    """Returns what somebody gets whose folder holds no version."""
    return InputError(
        f"{base} holds no version of a model (a folder named by a number "
        "with saved_model.pb in it); `tagforest export WORKDIR --out "
        f"{base}` writes one"
    )


def check_base(base: Path) -> None:
    """Checks that a folder is none of a version itself.

    Raises:
        InputError: it is.
    """
    if not (base / SAVED_MODEL_FILE).is_file():
        return
    full = base.absolute()
    if number_of(full.name) is None:
        raise InputError(
            f"{base} is a SavedModel itself: move it to a folder named by a "
            f"number, as {base}/1, and give {base}"
        )
    raise InputError(
        f"{base} is a version itself; give its parent, {full.parent}"
    )


def number_of(name: str) -> int | None:
    """Returns the version that a folder's name says; None if it says none."""
    # Longer ones cannot be int64, and converting them takes time.
    if not (name.isascii() and name.isdigit() and len(name) < 64):
        return None
    number = int(name)
    return number if number < 2**63 else None


def _length(path: Path) -> int:
    return len(path.name)


def _is_version(path: Path) -> bool:
    return number_of(path.name) is not None and path.is_dir()
