"""What travels with an image: only where something is known of it."""

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job import carried
from beam_jobs.rejections import Reason


def join(column, group, images=2):
    ids = pa.array([f"x/{i}" for i in range(images)])
    columns = {carried.SPLIT: pa.array(column, pa.string())}
    joined, rejections = carried.join_columns(columns, np.array(group), ids)
    return joined[carried.SPLIT].to_pylist(), rejections


def test_a_column_without_a_value_is_left_out():
    assert carried.to_columns({carried.SPLIT: {}}, 3) == {}
    found = carried.to_columns({carried.SPLIT: {1: "train"}}, 3)
    assert found[carried.SPLIT].to_pylist() == [None, "train", None]


def test_files_without_the_column_have_nulls():
    said = pa.record_batch([["test"], ["a"]], ["split", "image_id"])
    silent = pa.record_batch([["b", "c"]], ["image_id"])
    found = carried.read_columns([silent, said])
    assert {k: v.to_pylist() for k, v in found.items()} == {
        "split": [None, None, "test"]
    }
    assert carried.read_columns([silent]) == {}


def test_tables_get_the_columns_of_each_other():
    said = pa.table({"split": ["test"], "image_id": ["a"]})
    silent = pa.table({"image_id": ["b"]})
    rows = pa.concat_tables(carried.same_columns([silent, said]))
    assert rows.to_pydict() == {"image_id": ["b", "a"], "split": [None, "test"]}
    assert carried.same_columns([silent]) == [silent]


def test_rows_of_an_image_are_joined():
    assert join([None, "train", None], [0, 0, 1]) == (["train", None], [])
    assert join([None, None], [0, 1]) == ([None, None], [])


def test_an_image_in_two_splits_is_held_out_and_said():
    found, (rejection,) = join(["train", "test", "train"], [0, 0, 1])
    assert found == ["test", "train"]
    assert rejection.reason is Reason.MALFORMED_ROW
    assert (rejection.item, rejection.detail) == (
        "x/0",
        "split test and train; test is used",
    )
