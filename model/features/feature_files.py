"""Embeddings on disk, as NPZ or Parquet (no TensorFlow here).

NPZ: `path` [images] and `embedding` float32 [images, filters], and `workdir`
and `weights`, strings. To be written it is held in memory whole. Parquet: the
columns `path` (string) and `embedding` (a list of float32), written batch by
batch; `workdir` and `weights` are metadata of its schema. Both are read block
by block.
"""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from beam_jobs.errors import InputError
from beam_jobs.files import storage

_NPZ, _PARQUET = ".npz", ".parquet"
_PREFIX = "tagforest."
# Of a block: 16 MB at 2,048 filters.
_ROWS = 2048


@dataclass(frozen=True)
class Source:
    """What embedded the images.

    Attributes:
        workdir: absolute path of the training.
        weights: fingerprint, SHA-256.
    """

    workdir: str
    weights: str


def check_path(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless the path ends in .npz or .parquet."""
    if Path(path).suffix not in (_NPZ, _PARQUET):
        raise InputError(
            f"features are written as .npz or .parquet; received: {path}"
        )


def write(
    path: str | os.PathLike[str],
    batches: Iterable[tuple[list[str], np.ndarray]],
    source: Source,
) -> int:
    """Writes batches of paths and embeddings; returns the number of images.

    The file appears when it is complete.

    Raises:
        InputError: another ending.
    """
    check_path(path)
    partial = Path(storage.work_file(path))
    save = _write_npz if _is_npz(path) else _write_parquet
    try:
        count = save(partial, batches, source)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_source(path: str | os.PathLike[str]) -> Source:
    """Returns what embedded the images of a file.

    Raises:
        InputError: no such file, or none of features.
    """
    with _reading(path):
        if _is_npz(path):
            with np.load(path, allow_pickle=False) as content:
                return Source(str(content["workdir"]), str(content["weights"]))
        with parquet.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
        keys = (f"{_PREFIX}{field.name}".encode() for field in fields(Source))
        return Source(*(metadata[key].decode() for key in keys))


def read_embeddings(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """Yields float32 [rows, filters], block by block.

    Raises:
        InputError: as `read_source`.
    """
    with _reading(path):
        if _is_npz(path):
            yield from _read_npy(path, "embedding")
            return
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=["embedding"]):
                values = batch.column(0).flatten()
                rows = values.to_numpy(zero_copy_only=False)
                yield rows.reshape(len(batch), len(rows) // len(batch))


def read_paths(path: str | os.PathLike[str], rows: Sequence[int]) -> list[str]:
    """Returns the paths of the images at some rows, of those that are there.

    Raises:
        InputError: as `read_source`.
    """
    found: dict[int, str] = {}
    start = 0
    with _reading(path):
        for names in _read_paths(path):
            here = [r for r in rows if start <= r < start + len(names)]
            found |= {r: str(names[r - start]) for r in here}
            start += len(names)
    return [found[row] for row in rows if row in found]


def _read_paths(path: str | os.PathLike[str]) -> Iterator[Any]:
    if _is_npz(path):
        yield from _read_npy(path, "path")
        return
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS, columns=["path"]):
            yield batch.column(0)


def _read_npy(path: str | os.PathLike[str], name: str) -> Iterator[np.ndarray]:
    """Yields the rows of an array of an NPZ, which NumPy would read whole."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) == (1, 0):
            header = np.lib.format.read_array_header_1_0(file)
        else:
            header = np.lib.format.read_array_header_2_0(file)
        (count, *shape), _, dtype = header
        for start in range(0, count, _ROWS):
            rows = min(_ROWS, count - start)
            content = file.read(rows * math.prod(shape) * dtype.itemsize)
            yield np.frombuffer(content, dtype).reshape(rows, *shape)


def _is_npz(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix == _NPZ


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what is wrong with a file into a line."""
    check_path(path)
    if not Path(path).is_file():
        raise InputError(
            f"no such file: {path}; `tagforest features WORKDIR IMAGES --out "
            f"{path}` makes one"
        )
    try:
        yield
    except (
        pa.ArrowException,
        KeyError,
        ValueError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(
            f"{path} is no file of features ({type(error).__name__}: {error})"
        ) from error


def _write_npz(path: Path, batches: Iterable, source: Source) -> int:
    paths: list[str] = []
    # Of no image there is an array, too.
    rows = [np.zeros((0, 0), np.float32)]
    for names, embeddings in batches:
        paths += names
        rows.append(embeddings)
    content = np.concatenate(rows[1:]) if paths else rows[0]
    # Through a handle: numpy would put its own ending after the name.
    with path.open("wb") as file:
        np.savez(
            file,
            path=np.array(paths, np.str_),
            embedding=content,
            **asdict(source),
        )
    return len(paths)


def _write_parquet(path: Path, batches: Iterable, source: Source) -> int:
    values = {f"{_PREFIX}{k}": v for k, v in asdict(source).items()}
    fields = [("path", pa.string()), ("embedding", pa.list_(pa.float32()))]
    schema = pa.schema(fields).with_metadata(values)
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for names, embeddings in batches:
            writer.write_table(_table(names, embeddings, schema))
            count += len(names)
    return count


def _table(names: list[str], embeddings: np.ndarray, schema: Any) -> Any:
    rows, width = embeddings.shape
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * width),
        pa.array(embeddings.reshape(-1)),
    )
    return pa.Table.from_arrays([pa.array(names), lists], schema=schema)
