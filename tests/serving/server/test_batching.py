from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.api.errors import RequestError
from serving.api.server_options import BatchingOptions
from serving.server.batching import Batcher


class Doubler:
    """Doubles x; remembers batch sizes; may be held; refuses negatives."""

    def __init__(self):
        self.sizes = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, inputs):
        self.entered.set()
        self.open.wait(10)
        x = inputs["x"]
        self.sizes.append(len(x))
        if (x < 0).any():
            raise ValueError("negative")
        return {"y": x * 2}


@pytest.fixture
def model():
    return Doubler()


def run_held(model, batcher, arrays):
    """Queues all while the model is busy, then lets it go."""
    model.open.clear()
    with ThreadPoolExecutor(len(arrays) + 1) as pool:
        first = pool.submit(batcher.submit, {"x": np.zeros(1)})
        model.entered.wait(10)
        waiting = []
        for array in arrays:
            waiting.append(pool.submit(batcher.submit, {"x": array}))
            time.sleep(0.02)  # so that they queue in this order
        model.open.set()
        first.result()
        return [w.exception() or w.result()["y"].tolist() for w in waiting]


def test_waiting_requests_run_together_and_get_their_rows(model):
    batcher = Batcher(model)
    arrays = [np.array([1.0]), np.array([2.0, 3.0]), np.array([4.0])]
    answers = run_held(model, batcher, arrays)
    assert answers == [[2.0], [4.0, 6.0], [8.0]]
    assert model.sizes == [1, 4]
    batcher.close()


def test_batches_stay_within_the_size(model):
    batcher = Batcher(model, BatchingOptions(max_batch_size=2))
    answers = run_held(model, batcher, [np.array([float(i)]) for i in range(3)])
    assert answers == [[0.0], [2.0], [4.0]]
    assert model.sizes == [1, 2, 1]
    batcher.close()


def test_a_large_request_runs_in_parts(model):
    batcher = Batcher(model, BatchingOptions(max_batch_size=2))
    found = batcher.submit({"x": np.arange(5.0)})
    assert found["y"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert model.sizes == [2, 2, 1]
    batcher.close()


def test_only_the_request_at_fault_fails(model):
    batcher = Batcher(model)
    arrays = [np.array([1.0]), np.array([-1.0]), np.array([3.0])]
    first, bad, last = run_held(model, batcher, arrays)
    assert (first, last) == ([2.0], [6.0])
    assert isinstance(bad, RequestError) and "negative" in bad.message
    batcher.close()


def test_other_shapes_run_apart(model):
    batcher = Batcher(model)
    answers = run_held(model, batcher, [np.ones((1, 2)), np.ones((1, 3))])
    assert answers == [[[2.0, 2.0]], [[2.0, 2.0, 2.0]]]
    assert model.sizes == [1, 1, 1]
    batcher.close()


def test_a_full_queue_is_unavailable(model):
    batcher = Batcher(model, BatchingOptions(max_queued_rows=2))
    arrays = [np.ones(2), np.ones(1)]
    queued, refused = run_held(model, batcher, arrays)
    assert queued == [2.0, 2.0]
    assert refused.code is StatusCode.UNAVAILABLE
    batcher.close()


def test_a_late_request_is_refused_and_never_run(model):
    batcher = Batcher(model)
    model.open.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(batcher.submit, {"x": np.zeros(1)})
        model.entered.wait(10)
        with pytest.raises(RequestError) as caught:
            batcher.submit({"x": np.ones(1)}, time.monotonic() + 0.05)
        model.open.set()
        first.result()
    batcher.close()
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert model.sizes == [1]


def test_closing_answers_what_is_queued_and_refuses_the_rest(model):
    batcher = Batcher(model)
    assert batcher.submit({"x": np.ones(1)})["y"].tolist() == [2.0]
    batcher.close()
    with pytest.raises(RequestError) as caught:
        batcher.submit({"x": np.ones(1)})
    assert caught.value.code is StatusCode.UNAVAILABLE


def test_waiting_for_company_fills_a_batch(model):
    options = BatchingOptions(max_batch_size=2, timeout_s=5.0)
    batcher = Batcher(model, options)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(batcher.submit, [{"x": np.ones(1)}] * 2))
    assert model.sizes == [2]
    batcher.close()


@pytest.mark.parametrize(
    "inputs", [{"x": np.float32(1)}, {"x": np.ones(1), "y": np.ones(2)}]
)
def test_dimension_0_must_be_the_batch(model, inputs):
    batcher = Batcher(model)
    with pytest.raises(RequestError) as caught:
        batcher.submit(inputs)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    batcher.close()


def test_outputs_must_have_the_batch_too():
    batcher = Batcher(lambda inputs: {"y": np.zeros(7)})
    with pytest.raises(RequestError) as caught:
        batcher.submit({"x": np.ones(1)})
    assert caught.value.code is StatusCode.FAILED_PRECONDITION
    batcher.close()


def test_a_cancelled_request_is_never_run(model):
    batcher = Batcher(model)
    model.open.clear()
    cancelled = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.submit, {"x": np.zeros(1)})
        model.entered.wait(10)
        given_up = pool.submit(
            batcher.submit, {"x": np.ones(1)}, cancelled=cancelled
        )
        time.sleep(0.02)
        cancelled.set()
        model.open.set()
        first.result()
        error = given_up.exception()
    batcher.close()
    assert error.code is StatusCode.CANCELLED
    assert model.sizes == [1]


def test_batches_are_filled_up_to_an_allowed_size(model):
    options = BatchingOptions(max_batch_size=4, allowed_sizes=(2, 4))
    batcher = Batcher(model, options)
    for count in (0, 1, 2, 3, 5):
        found = batcher.submit({"x": np.arange(float(count))})
        assert found["y"].tolist() == [2.0 * i for i in range(count)]
    assert model.sizes == [0, 2, 2, 4, 4, 2]
    batcher.close()


def test_so_many_batches_run_at_a_time(model):
    batcher = Batcher(model, BatchingOptions(parallel_batches=2))
    model.open.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [
            pool.submit(batcher.submit, {"x": np.ones(1)}) for _ in range(3)
        ]
        while not (batcher._leaders == 2 and len(batcher._waiting) == 1):
            time.sleep(0.001)
        model.open.set()
        assert [w.result()["y"].tolist() for w in waiting] == [[2.0]] * 3
    assert model.sizes == [1, 1, 1]
    batcher.close()


def test_many_threads_lose_nothing(model):
    """Every request gets its own rows, however leaders change."""
    options = BatchingOptions(max_batch_size=8, parallel_batches=2)
    batcher = Batcher(model, options)

    def ask(number):
        deadline = time.monotonic() + (0.0 if number % 7 == 0 else 60)
        try:
            inputs = {"x": np.full(1 + number % 3, float(number))}
            return batcher.submit(inputs, deadline)["y"].tolist()
        except RequestError as error:
            return error.code

    late = {StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED}
    with ThreadPoolExecutor(16) as pool:
        for number, answer in enumerate(pool.map(ask, range(3000))):
            right = [2.0 * number] * (1 + number % 3)
            assert answer == right or (number % 7 == 0 and answer in late)
    batcher.close()
    assert batcher._leaders == 0 and batcher._queued_rows == 0


def test_adaptive_waiting_fills_batches_under_load_only():
    """The model takes 20 ms a call, however many rows."""
    sizes = []

    def slow(inputs):
        sizes.append(len(inputs["x"]))
        time.sleep(0.02)
        return {"y": inputs["x"]}

    options = BatchingOptions(max_batch_size=4, timeout_s=5.0, adaptive=True)
    batcher = Batcher(slow, options)
    start = time.monotonic()
    for _ in range(3):
        batcher.submit({"x": np.ones(1)})
    alone_s = time.monotonic() - start
    assert alone_s < 5 and sizes == [1, 1, 1]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(batcher.submit, [{"x": np.ones(1)}] * 400))
    batcher.close()
    assert sum(sizes[-50:]) / 50 > 2


def test_bad_options():
    with pytest.raises(InputError, match="received: .4, 2"):
        BatchingOptions(max_batch_size=2, allowed_sizes=(4, 2))
    with pytest.raises(InputError, match="received: .1"):
        BatchingOptions(max_batch_size=2, allowed_sizes=(1,))
    with pytest.raises(InputError, match="at least 1; received: 0"):
        BatchingOptions(max_batch_size=0)
    with pytest.raises(InputError, match="received: -1"):
        BatchingOptions(timeout_s=-1)
