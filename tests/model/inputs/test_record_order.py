"""Tests of the order: permutations by arithmetic, equal for all workers."""

import numpy as np
import pytest

from beam_jobs.dataset.record_index import SplitIndex
from model.config import DataConfig
from model.inputs import record_order
from model.inputs.record_order import BlockOrder, RecordOrder, Window

STARTS = np.array([0, 103, 103, 250, 331])
COUNT = 331


def blocks(batch_size=16, streams=4, block=10, window=30, seed=3):
    return BlockOrder(
        seed,
        STARTS,
        batch_size,
        streams=streams,
        block=block,
        window=window,
    )


ORDERS = {
    "records": RecordOrder(3, COUNT),
    "blocks": blocks(),
    "a stream": blocks(streams=1),
    "a record a stream": blocks(streams=16, window=10),
    "blocks of one": blocks(block=1, window=1),
    "windows that end in a batch": blocks(block=7, window=7),
    "one window": blocks(block=1000, window=1000),
}


@pytest.fixture(name="order", params=ORDERS)
def fixture_order(request):
    """Returns each of the orders."""
    return ORDERS[request.param]


def test_tensorflows_permutation_stays_what_it_is():
    # No promise says so: with other numbers no training goes on.
    found = record_order.permuted(np.arange(4), 1, 2, 17_600_000)
    assert found.tolist() == [6726803, 13336036, 17423066, 16899019]


@pytest.mark.parametrize("count", [1, 2, 3, 100, 4097])
def test_a_permutation(count):
    found = record_order.permuted(np.arange(count), 5, 0, count)
    assert sorted(found.tolist()) == list(range(count))


def test_the_order_of_blocks_stays_what_it_is():
    found = blocks().numbers(1, np.arange(8))
    assert found.tolist() == [125, 14, 57, 10, 175, 289, 287, 282]


def test_every_record_at_most_once_an_epoch(order):
    places = np.arange(COUNT // 16 * 16)
    epochs = [order.numbers(epoch, places) for epoch in range(3)]
    for found in epochs:
        assert len(set(found.tolist())) == len(places)
        assert found.min() >= 0 and found.max() < COUNT
    assert (epochs[0] != epochs[1]).mean() > 0.5
    # What is left out is not the same each time.
    left = [set(range(COUNT)) - set(found.tolist()) for found in epochs]
    assert left[0] != left[1] or left[1] != left[2]


def test_any_place_by_itself(order):
    places = np.arange(COUNT // 16 * 16)
    whole = order.numbers(2, places)
    for place in places[::7].tolist():
        assert order.numbers(2, np.array([place])) == whole[place]
    mixed = places[::-3]
    np.testing.assert_array_equal(order.numbers(2, mixed), whole[mixed])


def test_seeds_differ():
    places = np.arange(320)
    for one, other in [
        (RecordOrder(3, COUNT), RecordOrder(4, COUNT)),
        (blocks(seed=3), blocks(seed=4)),
    ]:
        same = one.numbers(0, places) == other.numbers(0, places)
        assert same.mean() < 0.5


def test_a_window_is_read_in_few_runs_of_one_shard_each():
    order = blocks()
    assert order.length == 80
    window, read = Window(0, 2, 0), []
    while window.epoch == 0:
        runs = order.runs(window)
        assert sum(count for _, count in runs) == min(30, 80 - len(read))
        # Three whole blocks at most, a part at each end, short ends of shards.
        assert len(runs) <= 6
        for first, count in runs:
            inside = (first <= STARTS) & (first + count > STARTS)
            assert count <= 10 and inside[STARTS != first].sum() == 0
        numbers = order.numbers_in(window)
        read += numbers.tolist()
        window = order.after(window)
    assert window == (1, 2, 0)
    # The stream's part of every batch: places 8 to 12 of 16.
    places = np.arange(320).reshape(20, 4, 4)[:, 2].reshape(-1)
    assert sorted(order.numbers(0, places).tolist()) == sorted(read)


def test_each_batch_takes_as_many_of_each_stream():
    order = blocks()
    found = order.windows(0, np.arange(16, 32))
    counts = {window.stream: len(rows) for window, (rows, _) in found.items()}
    assert counts == dict.fromkeys(range(4), 4)


def test_numbers_of_blocks_come_from_bytes():
    # 1,000 records of 100 KB in 4 shards.
    shards = [f"{number}.tfrecord" for number in range(4)]
    index = SplitIndex(
        dict.fromkeys(shards, 25_000_000), dict.fromkeys(shards, 250)
    )
    config = DataConfig(
        reading="blocks", block_bytes=800_000, shuffle_bytes=16_000_000
    )
    order = record_order.make_order(config, index, 40, seed=0)
    assert (order.streams, order.block, order.window) == (40, 8, 8)
    few = DataConfig(
        reading="blocks", streams=4, block_bytes=1, shuffle_bytes=16_000_000
    )
    order = record_order.make_order(few, index, 40, seed=0)
    assert (order.streams, order.block, order.window) == (4, 1, 40)


@pytest.mark.parametrize(
    ("reading", "dataset", "expected"),
    [
        ("auto", "data/set", "records"),
        ("auto", "s3://bucket/set", "blocks"),
        ("blocks", "data/set", "blocks"),
        ("records", "s3://bucket/set", "records"),
    ],
)
def test_auto_is_settled_by_where_the_data_set_lies(reading, dataset, expected):
    config = DataConfig(reading=reading)
    assert record_order.settled(config, dataset).reading == expected
