"""Tests of beam_jobs.files.read_ahead."""

from __future__ import annotations

import threading
import time

import pytest

from beam_jobs.files.read_ahead import ReadAhead
from tests.helpers.waiting import wait_until


def threads_of_it():
    return [t for t in threading.enumerate() if "read-ahead" in t.name]


def test_order_is_kept_whatever_ends_first():
    def slow_if_even(number):
        time.sleep(0.02 if number % 2 == 0 else 0.0)
        return number * 10

    found = ReadAhead(slow_if_even, range(20), threads=4, ahead=6)
    assert list(found) == [number * 10 for number in range(20)]
    assert list(ReadAhead(str, [], threads=2, ahead=2)) == []


def test_as_many_are_ahead_as_said():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = iter(ReadAhead(lambda n: n, items(), threads=2, ahead=5))
    for done in range(1, 4):
        next(results)
        wait_until(lambda done=done: len(taken) == done + 5)
        time.sleep(0.02)
        assert len(taken) == done + 5
    results.close()


def test_several_threads_work_at_a_time():
    both = threading.Barrier(2)
    found = ReadAhead(lambda _: both.wait(10), range(2), threads=2, ahead=2)
    assert sorted(found) == [0, 1]


def test_errors_come_in_their_place_and_end_it():
    def three_fails(number):
        if number == 3:
            raise ValueError("three")
        return number

    results = iter(ReadAhead(three_fails, range(9), threads=3, ahead=9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(results) == []

    def items():
        yield 1
        raise OSError("no more")

    results = iter(ReadAhead(lambda n: n, items(), threads=2, ahead=9))
    assert next(results) == 1
    with pytest.raises(OSError, match="no more"):
        next(results)


def test_threads_end_when_it_is_left():
    worked = []
    ahead = ReadAhead(worked.append, iter(int, 1), threads=3, ahead=4)
    for count, _ in enumerate(ahead):
        if count == 10:
            break
    # The loop's iterator goes, and all with it.
    wait_until(lambda: not threads_of_it())
    assert len(worked) <= 11 + 4


def test_left_while_its_items_wait():
    go_on = threading.Event()

    def items():
        yield 1
        go_on.wait(10)
        yield 2

    worked = []
    ahead = ReadAhead(worked.append, items(), threads=1, ahead=4)
    assert ahead.get().result() is None
    with pytest.raises(TimeoutError):
        ahead.get(0.01)
    ahead.close()
    assert ahead.get() is None
    go_on.set()
    wait_until(lambda: not threads_of_it())
    assert worked == [1]
