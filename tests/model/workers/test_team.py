"""Tests of model.workers.team: what workers say to each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.workers.endings import PartDoneError
from model.workers.links import LinkLostError
from tests.helpers.shared_work import Sum
from tests.helpers.teams import teams, together


def test_parts_are_all_there_is_and_no_more():
    for total in (0, 2, 7):
        parts = [team.part_of(total) for team in teams(3)]
        assert [n for part in parts for n in part] == list(range(total))


def test_counts_are_added_and_numbers_come_in_turn():
    def add(team):
        first = team.from_chief(lambda: {"first": np.array(10)})["first"]
        counts = Sum(np.array([first + n for n in team.part_of(7)]).sum())
        team.add_up(counts)
        return counts.total

    def list_(team):
        made = team.in_turn(
            lambda numbers: ({"n": np.array([n, team.index])} for n in numbers),
            5,
        )
        return [found["n"].tolist() for found in made]

    assert [together(add, (), count) for count in (1, 2, 3)] == [91] * 3
    assert together(list_, (), 1) == [[n, 0] for n in range(5)]
    assert together(list_, (), 2) == [[n, n % 2] for n in range(5)]


def test_more_than_a_connection_holds_waits_until_it_is_taken():
    def list_(team):
        made = team.in_turn(
            lambda numbers: ({"n": np.full(2**18, n)} for n in numbers), 60
        )
        return [int(found["n"].mean()) for found in made]

    assert together(list_, (), 3) == list(range(60))


def test_a_worker_that_is_gone_ends_the_others():
    chief, second, third = teams(3)
    chief.check()
    third._links[0].close()
    with pytest.raises(LinkLostError, match="worker 2"):
        chief.check()
    with pytest.raises(LinkLostError, match="worker 2"):
        # It waits for the second, and sees the third go.
        chief.add_up(Sum(1))
    for link in chief._links:
        link.close()
    with pytest.raises(LinkLostError, match="worker 0"):
        second.add_up(Sum(1))


@pytest.mark.parametrize("size", [1, 2**24])
def test_what_is_wrong_is_said_to_all(size):
    chief, second = teams(2)
    work = Sum(np.ones(size))
    with ThreadPoolExecutor(1) as pool:
        part = pool.submit(second.add_up, work)
        chief.end(InputError("no such class"))
        with pytest.raises(InputError, match="no such class"):
            part.result(60)
    chief, second = teams(2)
    with ThreadPoolExecutor(1) as pool:
        part = pool.submit(chief.add_up, Sum(1))
        second.end(InputError("a shard is damaged"))
        with pytest.raises(InputError, match="a shard is damaged"):
            part.result(60)


def test_who_is_not_the_chief_ends_after_it():
    chief, second = teams(2)
    with ThreadPoolExecutor(1) as pool:
        part = pool.submit(second.add_up, Sum(1))
        chief.add_up(Sum(2))
        assert not part.done()
        chief.end()
        assert isinstance(part.exception(60), PartDoneError)
        assert part.exception().code == 0
