"""Embeddings on disk, as NPZ or Parquet (no TensorFlow here).

NPZ: `path` [images] and `embedding` float32 [images, filters], and `workdir`
and `weights`, strings. It is held in memory whole. Parquet: the columns
`path` (string) and `embedding` (a list of float32), written batch by batch;
`workdir` and `weights` are metadata of its schema.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.errors import InputError
from beam_jobs.files import storage

_NPZ, _PARQUET = ".npz", ".parquet"
_PREFIX = "tagforest."


@dataclass(frozen=True)
class Source:
    """What embedded the images.

    Attributes:
        workdir: absolute path of the training.
        weights: fingerprint, SHA-256.
    """

    workdir: str
    weights: str


@dataclass(frozen=True)
class Features:
    """The content of a file.

    Attributes:
        paths: of the images, relative to their folder.
        embeddings: float32 [images, filters].
    """

    paths: list[str]
    embeddings: np.ndarray
    source: Source


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
    save = _write_npz if Path(path).suffix == _NPZ else _write_parquet
    try:
        count = save(partial, batches, source)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read(path: str | os.PathLike[str]) -> Features:
    """Reads what `write` wrote.

    Raises:
        InputError: no such file, or none of features.
    """
    check_path(path)
    if not Path(path).is_file():
        raise InputError(
            f"no such file: {path}; `tagforest features WORKDIR IMAGES --out "
            f"{path}` makes one"
        )
    load = _read_npz if Path(path).suffix == _NPZ else _read_parquet
    try:
        return load(Path(path))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
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


def _read_npz(path: Path) -> Features:
    with np.load(path, allow_pickle=False) as content:
        source = Source(str(content["workdir"]), str(content["weights"]))
        names = content["path"].tolist()
        return Features(names, content["embedding"], source)


def _write_parquet(path: Path, batches: Iterable, source: Source) -> int:
    import pyarrow as pa
    from pyarrow import parquet

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
    import pyarrow as pa

    rows, width = embeddings.shape
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * width),
        pa.array(embeddings.reshape(-1)),
    )
    return pa.Table.from_arrays([pa.array(names), lists], schema=schema)


def _read_parquet(path: Path) -> Features:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    metadata = table.schema.metadata or {}
    keys = (f"{_PREFIX}{field.name}".encode() for field in fields(Source))
    source = Source(*(metadata[key].decode() for key in keys))
    column = table.column("embedding").combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    names = table.column("path").to_pylist()
    width = len(values) // max(len(names), 1)
    return Features(names, values.reshape(len(names), width), source)
