"""Where the versions of a model are: a folder here, or an object store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beam_jobs.files import storage
from beam_jobs.files.storage import PathLike
from serving.api.version_folders import (
    SAVED_MODEL_FILE,
    number_of,
    version_paths,
)


def find(base: PathLike) -> dict[int, PathLike]:
    """Returns where each version of a model is, by its number.

    Raises:
        OSError: an object store that cannot be asked, or a local folder that
            is not there.
    """
    if not storage.is_remote(base):
        if not Path(base).is_dir():
            raise FileNotFoundError(f"no such folder: {base}")
        return {**version_paths(Path(base))}
    pattern = storage.join(base, "*", SAVED_MODEL_FILE)
    files = storage.list_files(pattern)
    folders = [path.rpartition("/")[0] for path, _ in files]
    # The longest name first: of `7` and `007` the plain one counts.
    named = sorted(folders, key=len, reverse=True)
    numbers = ((number_of(path.rpartition("/")[2]), path) for path in named)
    return {number: path for number, path in numbers if number is not None}


@contextmanager
def here(version: PathLike) -> Iterator[Path]:
    """Yields a version's folder on this machine.

    One of an object store is copied for the time of the block: a model that is
    loaded reads no file any more.

    Raises:
        OSError: it cannot be read.
    """
    if not storage.is_remote(version):
        yield Path(version)
        return
    with tempfile.TemporaryDirectory(prefix="tagforest-model-") as name:
        source = str(version).rstrip("/") + "/"
        folder = Path(name, source.split("/")[-2])
        for path, _ in storage.list_files(f"{source}**"):
            target = folder / path.removeprefix(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with storage.open_read(path) as remote, target.open("wb") as local:
                shutil.copyfileobj(remote, local, 1 << 20)
        yield folder
