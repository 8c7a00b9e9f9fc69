"""Where the SavedModel of a bulk job lies (no TensorFlow here)."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from serving.api.version_folders import SAVED_MODEL_FILE, require_versions


def find_version(model: str) -> str:
    """Returns a version's folder: the one named, or the highest in a base.

    Raises:
        InputError: neither.
    """
    storage.check(model)
    if storage.exists(storage.join(model, SAVED_MODEL_FILE)):
        return model
    if not storage.is_remote(model):
        number = require_versions(Path(model))[-1]
        return storage.join(model, str(number))
    pattern = storage.join(model, "*", SAVED_MODEL_FILE)
    names = [p.rsplit("/", 2)[1] for p, _ in storage.list_files(pattern)]
    numbers = [int(name) for name in names if name.isdigit()]
    if not numbers:
        raise InputError(
            f"{model} holds no version of a model (a folder named by a "
            f"number with {SAVED_MODEL_FILE} in it)"
        )
    return storage.join(model, str(max(numbers)))


@functools.cache
def local_version(version: str) -> Path:
    """Returns a folder of this machine: the version's, or a copy of it.

    The copy is made once in a process and lies there until the machine goes.
    """
    if not storage.is_remote(version):
        return Path(version)
    name = version.rstrip("/").rsplit("/", 1)[1]
    target = Path(tempfile.mkdtemp(prefix="tagforest-model-")) / name
    for path, _ in storage.list_files(storage.join(version, "**")):
        copy = target / path[len(version.rstrip("/")) + 1 :]
        copy.parent.mkdir(parents=True, exist_ok=True)
        with storage.open_read(path) as source, copy.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    return target
