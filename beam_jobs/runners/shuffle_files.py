"""Tables on disk, partitioned: how the stages of a job hand on their rows.

A stage writes one Arrow IPC file per part, with one record batch a
partition; the next stage reads one partition of every file. It is the shuffle
of a Beam job through files: elements are a few names, so that neither their
number nor the memory grows with the rows, on any runner.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from beam_jobs.files import storage

_PARTITIONS = "partitions"
_ROWS = "rows"


def write_partitions(
    path: str,
    table: pa.Table,
    partition: np.ndarray,
    lists: dict[str, list[str]] | None = None,
) -> list[int]:
    """Writes a table and returns the partitions that have rows, ascending.

    Args:
        path: of the file, in any file system.
        table: the rows; their order within a partition is kept.
        partition: int [rows], from 0.
        lists: strings that columns refer to by position; any partition's
            reader gets them whole.
    """
    order = np.argsort(partition, kind="stable")
    sorted_rows = table.take(pa.array(order)).combine_chunks()
    numbers, starts = np.unique(partition[order], return_index=True)
    ends = np.append(starts, len(order))[1:]
    metadata = {
        _PARTITIONS: json.dumps(numbers.tolist()),
        _ROWS: json.dumps((ends - starts).tolist()),
    }
    for name, values in (lists or {}).items():
        metadata[name] = json.dumps(values)
    schema = sorted_rows.schema.with_metadata(metadata)
    temporary = storage.work_file(path)
    with (
        open(temporary, "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            rows = sorted_rows.slice(start, end - start)
            writer.write_table(rows.replace_schema_metadata(metadata))
    storage.publish(temporary, path)
    return numbers.tolist()


class PartitionedFile:
    """Reads what `write_partitions` wrote.

    Attributes:
        partitions: those with rows, ascending.
        rows: how many rows each of them has.
    """

    def __init__(self, reader: pa.ipc.RecordBatchFileReader):
        self._reader = reader
        self.partitions: list[int] = self.list(_PARTITIONS)
        self.rows: list[int] = self.list(_ROWS)

    def list(self, name: str) -> list:
        """Returns strings that columns refer to by position."""
        return json.loads(self._reader.schema.metadata[name.encode()])

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._reader.schema

    def read(self, number: int) -> pa.RecordBatch:
        """Returns the rows of one partition that has some."""
        return self._reader.get_batch(self.partitions.index(number))

    def read_all(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yields every partition with its rows, ascending."""
        for position, number in enumerate(self.partitions):
            yield number, self._reader.get_batch(position)


@contextmanager
def open_partitions(path: str) -> Iterator[PartitionedFile]:
    """Opens a file of `write_partitions`, mapped into memory if local."""
    if storage.is_remote(path):
        with storage.open_read(path) as file:
            yield PartitionedFile(pa.ipc.open_file(pa.PythonFile(file)))
    else:
        with pa.memory_map(path) as file:
            yield PartitionedFile(pa.ipc.open_file(file))


def list_column(row_splits: np.ndarray, values: np.ndarray) -> pa.Array:
    """Returns a column whose rows are lists."""
    return pa.LargeListArray.from_arrays(
        pa.array(row_splits, pa.int64()), pa.array(values)
    )


def ragged(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns row splits (int64, from 0) and values of a column of lists."""
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy()[offsets[0] : offsets[-1]]
    return offsets - offsets[0], values
