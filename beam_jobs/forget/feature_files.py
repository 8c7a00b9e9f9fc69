"""Files of `tagforest features`, without some of their rows.

Their formats are those of `model/features/feature_files.py`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.forget.letters import forget_lines
from beam_jobs.forget.names import Names

_PATH = "path"
_REJECTED = ".rejected.jsonl"


def forget_features(path: str, names: Names) -> int:
    """Removes the rows of the images from a file; returns how many.

    Raises:
        InputError: it is no file of features.
    """
    rewrite = _of_npz if path.endswith(".npz") else _of_parquet
    temporary = storage.work_file(path)
    try:
        gone = rewrite(path, temporary, names)
    except (
        pa.ArrowException,
        KeyError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(f"{path} is no file of features: {error}") from None
    if gone:
        storage.publish(temporary, path)
    letters = path + _REJECTED
    if os.path.exists(letters):
        forget_lines(letters, letters, names, _is_path_of(names))
    return gone


def _is_path_of(names: Names) -> Callable[[Mapping[str, Any]], bool]:
    def is_of(letter: Mapping[str, Any]) -> bool:
        return names.match_paths([str(letter.get("item", ""))])[0]

    return is_of


def paths_in(path: str) -> list[str]:
    """Returns the paths of the images in a file of features."""
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=False) as content:
            return content[_PATH].tolist()
    return parquet.read_table(path, columns=[_PATH])[_PATH].to_pylist()


def _of_npz(path: str, temporary: str, names: Names) -> int:
    with np.load(path, allow_pickle=False) as content:
        values = {name: content[name] for name in content.files}
    goes = np.array(names.match_paths(values[_PATH].tolist()), bool)
    if goes.any():
        kept: dict[str, Any] = {
            name: array[~goes] if array.shape[:1] == goes.shape else array
            for name, array in values.items()
        }
        with open(temporary, "wb") as file:
            np.savez(file, **kept)
    return int(goes.sum())


def _of_parquet(path: str, temporary: str, names: Names) -> int:
    # Closed before it is replaced.
    with parquet.ParquetFile(path) as file:
        groups = file.num_row_groups
        marks = []
        for group in range(groups):
            column = file.read_row_group(group, [_PATH]).column(_PATH)
            marks.append(names.match_paths(column.to_pylist()))
        gone = sum(map(sum, marks))
        if gone:
            with parquet.ParquetWriter(temporary, file.schema_arrow) as writer:
                for group in range(groups):
                    stays = ~np.array(marks[group], bool)
                    rows = file.read_row_group(group)
                    writer.write_table(rows.filter(pa.array(stays)))
    return gone
