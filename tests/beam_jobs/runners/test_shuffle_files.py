"""Rows that one stage writes by partition and the next reads."""

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs.labels.ragged_columns import take_rows
from beam_jobs.runners.shuffle_files import (
    list_column,
    open_partitions,
    ragged,
    write_partitions,
)


@pytest.fixture
def path(tmp_path):
    table = pa.table(
        {
            "name": ["a", "b", "c", "d"],
            "values": list_column(
                np.array([0, 2, 2, 3, 5]), np.array([1, 2, 3, 4, 5], np.int32)
            ),
        }
    )
    path = str(tmp_path / "work" / "rows.arrow")
    found = write_partitions(
        path, table, np.array([3, 1, 3, 1]), {"keys": ["x", "y"]}
    )
    assert found == [1, 3]
    return path


def test_a_partition_holds_its_rows_in_order(path):
    with open_partitions(path) as file:
        assert (file.partitions, file.rows) == ([1, 3], [2, 2])
        first, second = file.read(1), file.read(3)
    assert first.column("name").to_pylist() == ["b", "d"]
    splits, values = ragged(first.column("values"))
    assert (splits.tolist(), values.tolist()) == ([0, 0, 2], [4, 5])
    splits, values = ragged(second.column("values"))
    assert (splits.tolist(), values.tolist()) == ([0, 2, 3], [1, 2, 3])


def test_lists_are_for_every_partition(path):
    with open_partitions(path) as file:
        assert file.list("keys") == ["x", "y"]


def test_no_rows(tmp_path):
    path = str(tmp_path / "none.arrow")
    table = pa.table({"name": pa.array([], pa.string())})
    assert write_partitions(path, table, np.empty(0, np.int64)) == []
    with open_partitions(path) as file:
        assert file.partitions == []


def test_equal_rows_equal_bytes(tmp_path):
    table = pa.table({"name": ["a", "b"]})
    for name in ("one", "two"):
        write_partitions(str(tmp_path / name), table, np.array([1, 0]))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_but_the_file_is_left(path, tmp_path):
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["rows.arrow"]


def test_take_rows():
    splits, values = take_rows(np.array([0, 2, 2, 3, 5]), np.array([3, 0, 1]))
    assert splits.tolist() == [0, 2, 4, 4]
    assert values.tolist() == [3, 4, 0, 1]
