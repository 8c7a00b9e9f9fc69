from __future__ import annotations

import pytest

from serving.ui.when import NEVER, When

TAG = When.up_to(0.7, calibrated=True)
BELOW = When.up_to(0.4)


@pytest.mark.parametrize(
    ("when", "holds"),
    # With the calibrated thresholds, and with one of 0, 0.4, 0.5, 0.7 and 1.
    [
        (TAG, [True, True, True, True, True, False]),
        (BELOW, [False, True, True, False, False, False]),
        (BELOW.negated(), [True, False, False, True, True, True]),
        (TAG.and_(BELOW.negated()), [True, False, False, True, True, False]),
        (BELOW.and_(TAG.negated()), [False] * 6),
        (When.any_of([BELOW, TAG]), [True, True, True, True, True, False]),
        (When.any_of([]), [False] * 6),
        (NEVER, [False] * 6),
        (NEVER.negated(), [True] * 6),
    ],
)
def test_when_it_holds(when, holds):
    thresholds = (None, 0.0, 0.4, 0.5, 0.7, 1.0)
    assert [when.holds(t) for t in thresholds] == holds
    assert when.is_possible == any(holds)


def test_what_cannot_be_adds_nothing():
    impossible = BELOW.and_(TAG.negated())
    assert When.any_of([impossible, BELOW]) == BELOW
    assert BELOW.as_row() == [False, -1.0, 0.4]
