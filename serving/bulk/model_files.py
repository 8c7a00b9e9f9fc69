"""The SavedModel of a bulk job: loaded, checked, fingerprinted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from serving.api import contract
from serving.api.prediction import OUTPUTS
from serving.api.version_folders import SAVED_MODEL_FILE
from serving.bulk.model_folders import local_version
from serving.saved_model.servable import Servable, read_signature_defs


def load(version: str) -> Servable:
    """Loads a version's SavedModel.

    Raises:
        InputError: it cannot be loaded.
    """
    return Servable(local_version(version))


def fingerprint(folder: Path) -> str:
    """Returns the SHA-256 (hex) of a SavedModel's graph and weights."""
    paths = (folder / SAVED_MODEL_FILE, *(folder / "variables").glob("*"))
    # By name: the order of a folder is the file system's.
    lines = sorted(f"{path.name}:{storage.sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_signature(folder: Path, name: str) -> None:
    """Checks that a SavedModel answers as an export does; loads no weights.

    Raises:
        InputError: it lacks the signature, or outputs of it.
    """
    found = read_signature_defs(folder)
    drawn = {contract.DETECT, contract.SEGMENT} & {*found}
    if drawn:
        raise InputError(
            f"{folder} answers {drawn.pop()!r}, not tags, which alone are for "
            "many images; `tagforest serve` and `tagforest tag` take it"
        )
    if name not in found:
        raise InputError(
            f"{folder} has no signature {name!r}; it has: "
            f"{', '.join(sorted(found))}; `tagforest export` writes one"
        )
    lacking = sorted(OUTPUTS - set(found[name].outputs))
    if lacking:
        raise InputError(
            f"{folder}: signature {name!r} lacks the outputs "
            f"{', '.join(lacking)}; `tagforest export` writes them"
        )
