import gc
import json
import math

import pytest

from tests.bench import timing
from tests.bench.timing import BARE, CPU, OURS, WALL, Took


def rounds(*seconds: float, count: float = 10) -> list[Took]:
    """Work whose CPU time is given; on the clock it takes twice as long.

    Each is there twice: of six rounds all lie within the interval.
    """
    return [Took(count, 2 * s, s) for s in seconds * 2]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ((1.0, 1.0, 1.0), "10"),
        # 9.52 to 10.2 a second: 0.07 of the median.
        ((1.0, 1.05, 0.98), "10"),
        ((1.0, 1.15, 0.98), "not measured: median between 8.696 and 10.2"),
        ((1.0, 1.0), "not measured: 4 of 6 rounds"),
        ((0.09, 0.1, 0.1), "too short to measure: a round of 0.09 s"),
    ],
)
def test_a_rate(seconds, shown):
    assert str(timing.rate(rounds(*seconds))) == shown


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # The binomial distribution with p = 1/2: with 9 rounds the median lies
    # between the second and the eighth but for 2 (1 + 9) / 512 = 3.9 %.
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10)],
)
def test_the_interval_of_the_median(count, low, high):
    values = [float(n) for n in range(count, 0, -1)]
    assert timing.median_interval(values) == (low, high)


@pytest.mark.parametrize(
    ("outliers", "trusted"), [(0, True), (2, True), (3, False)]
)
def test_some_rounds_of_twelve_may_lie_outside(outliers, trusted):
    values = [1.0] * (12 - outliers) + [5.0] * outliers
    assert (timing.judge(values) == "") is trusted


def test_an_untrusted_figure_has_no_value():
    figure = timing.figure([0.22, 1.0, 4.83] * 2)
    assert math.isnan(figure.value)
    assert str(figure) == "not measured: median between 0.22 and 4.83"


def test_a_typical_start_is_taken_off_each_round():
    few = [Took(2, 1.0, 0.5), Took(2, 9.0, 0.7), Took(2, 2.0, 0.6)]
    many = [Took(40, 10.0, 5.0), Took(40, 12.0, 6.0)]
    between, start = timing.without_start(few, many)
    assert start == Took(4, 4.0, 1.2)
    assert between == [Took(36, 6.0, 3.8), Took(36, 8.0, 4.8)]


def test_large_figures_have_commas():
    assert timing.shown(1_397_123.4) == "1,397,000"
    assert timing.shown(0.012346) == "0.01235"


def test_not_a_number_is_refused():
    assert timing.judge([1.0, math.nan, 1.0] * 2) != ""


@pytest.mark.parametrize(
    ("large", "shown"),
    [
        # (100 - 10) rows / (10 - 1) s.
        ((10.0, 10.0, 10.1), "10"),
        ((10.0, 13.0, 11.0), "not measured: median between 7.5 and 10"),
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
    assert (timing.difference(added * 2).refusal == "") is trusted


def test_rounds_are_paired():
    # Both arms slow down by half in the second and third round.
    took = {
        BARE: rounds(1.0, 1.5, 2.0),
        OURS: rounds(0.5, 0.75, 1.0),
    }
    found = timing.compare_rates("loss", "steps", took)
    assert str(found.result) == "2"
    assert str(found.bare) == "not measured: median between 5 and 10"
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
        "grpc", [0.010, 0.0102, 0.010] * 2, [0.012, 0.0122, 0.0125] * 2
    )
    assert (str(found.bare), str(found.ours)) == ("10", "12.2")
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
