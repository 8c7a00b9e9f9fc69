"""Tests of model.training.profiling: which steps are allowed."""

import pytest

from beam_jobs.errors import InputError
from model.training.profiling import check_profile, parse_profile


def test_steps():
    assert parse_profile("10,20") == (10, 20)
    assert parse_profile(" 3 , 3 ") == (3, 3)
    check_profile((10, 20), 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", "such as 10,20; received: '10'"),
        ("a,b", "such as 10,20"),
        ("1,2,3", "such as 10,20"),
        ("-1,2", "such as 10,20"),
        ("0,5", "from 1 on"),
        ("20,10", "not before it"),
        ("1,101", "at most 100 steps"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(InputError, match=message):
        parse_profile(text)


def test_a_run_with_fewer_steps():
    with pytest.raises(InputError, match="10,20 ends behind .* up to 19"):
        check_profile((10, 20), 19)
