"""Tests of model.inputs.input_clock: the stall, and what the clock notes."""

import time

import numpy as np
import tensorflow as tf

from model.inputs.input_clock import InputClock, stalled


def test_stall_of_steps_that_ask_one_after_the_other():
    # Each step takes 2 s after a wait of 1 s.
    times = np.array([[0.0, 1.0], [3.0, 4.0], [6.0, 7.0]])
    assert stalled(times, 0.0, 9.0) == 3.0
    # Wall clock times, and steps of 1 s and 3 s: the waits, not more.
    uneven = np.array([[0.0, 1.0], [4.0, 5.0]]) + 1e9
    assert stalled(uneven, 1e9, 1e9 + 6.0) == 2.0


def test_stall_of_work_given_ahead():
    # A batch comes every 3 s to a thread that always waits; steps take 2 s,
    # so 1 s in 3 is lost, and 3 s before the first.
    asked = np.array([0.0, 3.0, 6.0, 9.0])
    times = np.stack([asked, asked + 3.0], axis=1)
    assert stalled(times, 0.0, 14.0) == 6.0
    # Steps of 4 s hide all but the first wait.
    assert stalled(times, 0.0, 19.0) == 3.0


def test_no_stall_where_the_batches_were_there_before():
    times = np.array([[-9.0, -8.0], [-8.0, -7.0], [0.5, 0.6]])
    assert stalled(times, 0.0, 6.0) == 0.0


def share(produce: float, use: float, steps: int = 8) -> float:
    """Returns the stalled part of a loop that sleeps."""

    def slow(i):
        time.sleep(produce)
        return i

    batches = tf.data.Dataset.range(steps).map(
        lambda i: tf.ensure_shape(tf.numpy_function(slow, [i], tf.int64), [])
    )
    clock = InputClock(size=steps)
    iterator = iter(clock.watch(batches.prefetch(2)))
    start = time.time()
    for _ in range(steps):
        next(iterator)
        time.sleep(use)
    end = time.time()
    return stalled(clock.times(0, steps), start, end) / (end - start)


def test_slow_and_fast_data():
    # 80 ms a batch for steps of 20 ms: three quarters are lost.
    assert share(0.08, 0.02) > 0.5
    assert share(0.0, 0.04) < 0.4


def test_watched_batches_are_the_same_and_old_ones_are_forgotten():
    features = {"a": tf.ragged.constant([[1], [2, 3], [], [4]])}
    batches = tf.data.Dataset.from_tensor_slices((tf.range(4), features))
    clock = InputClock(size=3)
    seen = list(clock.watch(batches))
    assert [int(place) for place, _ in seen] == [0, 1, 2, 3]
    assert [f["a"].numpy().tolist() for _, f in seen] == [[1], [2, 3], [], [4]]
    assert clock.times(0, 4) is None and clock.times(2, 2) is None
    times = clock.times(1, 4)
    assert times.shape == (3, 2) and np.all(np.diff(times.ravel()) >= 0)
