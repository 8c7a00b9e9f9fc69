"""Rates and addresses, without a network."""

from __future__ import annotations

import asyncio

import pytest

from beam_jobs.download import addresses
from beam_jobs.download.addresses import (
    CheckedResolver,
    UnknownHostError,
    is_public,
)
from beam_jobs.download.schedule import Schedule


def test_a_host_starts_at_its_rate():
    schedule = Schedule(rate=10.0)
    for item in "abc":
        schedule.add("x", item)
    schedule.add("y", "d")
    assert schedule.next(0.0) == ("x", "a")
    assert schedule.next(0.0) == ("y", "d")
    assert schedule.next(0.0) == pytest.approx(0.1)
    assert schedule.next(0.06) == pytest.approx(0.04)
    assert schedule.next(0.1) == ("x", "b")
    assert len(schedule) == 1


def test_time_that_was_not_used_is_not_made_up_for():
    schedule = Schedule(rate=10.0)
    for item in "abc":
        schedule.add("x", item)
    schedule.next(0.0)
    assert schedule.next(5.0) == ("x", "b")
    assert schedule.next(5.0) == pytest.approx(0.1)


def test_a_host_has_so_many_under_way():
    schedule = Schedule(per_host=2)
    for item in "abc":
        schedule.add("x", item)
    assert schedule.next(0.0) == ("x", "a")
    assert schedule.next(0.0) == ("x", "b")
    assert schedule.next(0.0) is None
    schedule.done("x")
    assert schedule.next(0.0) == ("x", "c")


def test_later_items_come_first_when_their_time_has_come():
    schedule = Schedule()
    schedule.add("x", "later", not_before=2.0)
    assert schedule.next(0.0) == 2.0
    schedule.add("x", "now")
    schedule.add("x", "then")
    assert schedule.next(1.0) == ("x", "now")
    assert schedule.next(2.0) == ("x", "later")
    assert schedule.next(2.0) == ("x", "then")
    assert schedule.next(2.0) is None


def test_a_pause_holds_all_of_a_host_and_no_other():
    schedule = Schedule()
    schedule.add("x", "a")
    schedule.pause("x", 3.0)
    schedule.add("y", "b")
    assert schedule.next(0.0) == ("y", "b")
    assert schedule.next(0.0) == 3.0
    assert schedule.next(3.0) == ("x", "a")


def test_a_redirect_takes_a_start_of_its_host():
    schedule = Schedule(rate=2.0)
    schedule.add("x", "a")
    assert schedule.reserve("x", 0.0) == 0.0
    assert schedule.reserve("x", 0.0) == 0.5
    assert schedule.next(0.0) == pytest.approx(1.0)
    assert schedule.next(1.0) == ("x", "a")


@pytest.mark.parametrize(
    "address, public",
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_the_public_internet_is_public(address, public):
    assert is_public(address) == public


def test_a_dead_host_is_looked_up_once(monkeypatch):
    asked = []

    def look_up(host, family):
        asked.append(host)
        raise UnknownHostError("none", False)

    monkeypatch.setattr(addresses, "_look_up", look_up)

    async def ask() -> None:
        resolver = CheckedResolver()
        for _ in range(3):
            with pytest.raises(UnknownHostError):
                await resolver.resolve("dead.example", 80)
        await resolver.close()

    asyncio.run(ask())
    assert asked == ["dead.example"]


def test_a_name_with_private_and_public_addresses(monkeypatch):
    found = [("10.0.0.1", 2), ("93.184.216.34", 2)]
    monkeypatch.setattr(addresses, "_look_up", lambda host, family: found)

    async def ask(allow_private: bool) -> list[str]:
        resolver = CheckedResolver(allow_private)
        results = await resolver.resolve("mixed.example", 80)
        await resolver.close()
        return [result["host"] for result in results]

    assert asyncio.run(ask(False)) == ["93.184.216.34"]
    assert asyncio.run(ask(True)) == ["10.0.0.1", "93.184.216.34"]
