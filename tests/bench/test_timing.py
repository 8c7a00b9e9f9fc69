import gc
import json
import math

import pytest

from tests.bench import timing
from tests.bench.timing import BARE, CPU, OURS, WALL, Took


def rounds(*seconds: float, count: float = 10) -> list[Took]:
    """Work whose CPU time is given; on the clock it takes twice as long."""
    return [Took(count, 2 * s, s) for s in seconds]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ((1.0, 1.0, 1.0), "10"),
        # 9.52 to 10.2 a second: 0.07 of the median.
        ((1.0, 1.05, 0.98), "10"),
        ((1.0, 1.15, 0.98), "not measured: rounds between 8.696 and 10.2"),
        ((1.0, 1.0), "not measured: 2 of 3 rounds"),
        ((0.09, 0.1, 0.1), "too short to measure: a round of 0.09 s"),
    ],
)
def test_a_rate(seconds, shown):
    assert str(timing.rate(rounds(*seconds))) == shown


@pytest.mark.parametrize(
    ("outliers", "trusted"), [((), True), ((5.0,), True), ((5.0, 4.0), False)]
)
def test_one_round_in_ten_may_lie_outside(outliers, trusted):
    values = [1.0] * (10 - len(outliers)) + list(outliers)
    assert (timing.judge(values) == "") is trusted


def test_an_untrusted_figure_has_no_value():
    figure = timing.figure([0.22, 1.0, 4.83])
    assert math.isnan(figure.value)
    assert str(figure) == "not measured: rounds between 0.22 and 4.83"


def test_large_figures_have_commas():
    assert timing.shown(1_397_123.4) == "1,397,000"
    assert timing.shown(0.012346) == "0.01235"


def test_not_a_number_is_refused():
    assert timing.judge([1.0, math.nan, 1.0]) != ""


@pytest.mark.parametrize(
    ("large", "shown"),
    [
        # (100 - 10) rows / (10 - 1) s.
        ((10.0, 10.0, 10.1), "10"),
        ((10.0, 13.0, 11.0), "not measured: rounds between 7.5 and 10"),
        # The longer list took less time: -1,742,078 rows a second, once.
        ((0.9, 10.0, 10.0), "too short to measure: a round of -0.1 s"),
        ((1.0, 1.0, 1.0), "too short to measure: a round of 0 s"),
        ((1.05, 1.05, 1.05), "too short to measure: a round of 0.05 s"),
    ],
)
def test_the_rate_between_two_sizes(large, shown):
    few = rounds(1.0, 1.0, 1.0)
    many = rounds(*large, count=100)
    between = [m - f for m, f in zip(many, few, strict=True)]
    assert str(timing.rate(between)) == shown


@pytest.mark.parametrize(
    ("added", "trusted"),
    [
        ((1.0, 1.1, 1.3), True),
        ((1.0, 1.1, 1.5), False),
        ((-0.3, 0.1, 0.2), False),
        ((-1.1, -1.0, -1.2), True),
    ],
)
def test_an_added_time_must_be_clear_of_its_spread(added, trusted):
    assert (timing.difference(added).refusal == "") is trusted


def test_rounds_are_paired():
    # Both arms slow down by half in the second and third round.
    took = {
        BARE: rounds(1.0, 1.5, 2.0),
        OURS: rounds(0.5, 0.75, 1.0),
    }
    found = timing.compare_rates("loss", "steps", took)
    assert str(found.result) == "2"
    assert str(found.bare) == "not measured: rounds between 5 and 10"
    assert found.unit == "steps/core-s"


def test_a_short_arm_makes_no_ratio():
    took = {BARE: rounds(1.0, 1.0, 1.0), OURS: rounds(0.04, 0.04, 0.04)}
    found = timing.compare_rates("loss", "steps", took)
    assert str(found.bare) == "10"
    assert str(found.result) == "too short to measure: a round of 0.04 s"


def test_times_are_milliseconds_of_a_call():
    took = {BARE: rounds(1.0, 1.0, 1.0), OURS: rounds(1.5, 1.5, 1.5)}
    found = timing.compare_times("loss", took)
    assert (str(found.bare), str(found.ours)) == ("100", "150")
    assert str(found.result) == "1.5"


def test_what_a_server_adds():
    found = timing.compare_added(
        "grpc", [0.010, 0.011, 0.010], [0.012, 0.013, 0.0125]
    )
    assert (str(found.bare), str(found.ours)) == ("10", "12.5")
    assert found.result.value == pytest.approx(2.0)
    assert (found.what, found.unit) == ("added ms", "ms")


def test_the_clock_is_chosen():
    took = rounds(1.0, 1.0, 1.0)
    assert timing.rate(took, CPU).value == 10
    assert timing.rate(took, WALL).value == 5
    assert timing.seconds_each(took, WALL).value == 0.2


def test_what_was_counted_is_trusted():
    assert str(timing.exact(98.66)) == "98.66"


def test_arms_are_called_there_and_back():
    calls = []

    def arm(name, seconds):
        def call():
            calls.append(name)
            assert not gc.isenabled()
            return Took(1, seconds, seconds)

        return call

    arms = {"a": arm("a", 0.1), "b": arm("b", 0.2)}
    found = timing.interleave(arms, rounds=2)
    assert "".join(calls) == "ab" + "abba" + "abba"
    assert gc.isenabled()
    assert found == {
        "a": [Took(2, 0.2, 0.2)] * 2,
        "b": [Took(2, 0.4, 0.4)] * 2,
    }


def test_short_work_is_repeated():
    calls = []

    def work():
        calls.append(0)
        sum(range(200_000))

    arm = timing.repeated(work, count=3, seconds=0.2)
    arm()
    del calls[:]
    took = arm()
    assert took.count == 3 * len(calls)
    assert len(calls) > 1
    assert 0.05 < took.cpu < 0.8


def test_written_and_read():
    took = {BARE: rounds(1.0, 2.0, 3.0), OURS: rounds(0.5, 1.0, 1.5)}
    details = {"images": 64, "rate": timing.rate(rounds(1.0, 1.0, 1.0))}
    found = timing.compare_rates("loss", "steps", took, details)
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    read = timing.Comparison.from_json(written)
    assert read.bare.refusal == found.bare.refusal
    assert math.isnan(read.bare.value)
    assert (read.result, read.details) == (found.result, details)
