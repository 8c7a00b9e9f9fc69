import hashlib

import pytest

from beam_jobs.errors import InputError
from beam_jobs.splits import parse_fractions, split_of, uniform


def test_parses_fractions():
    assert parse_fractions("train=0.8,validation=0.2") == {
        "train": 0.8,
        "validation": 0.2,
    }


@pytest.mark.parametrize(
    "text",
    ["train", "train=x", "test=1", "train=0.5", "validation=1", "train=2"],
)
def test_refuses_bad_fractions(text):
    with pytest.raises(InputError, match="received: "):
        parse_fractions(text)


def test_split_follows_the_fractions():
    hashes = [
        hashlib.sha256(bytes([i, j])).hexdigest()
        for i in range(100)
        for j in range(100)
    ]
    fractions = {"train": 0.7, "validation": 0.2, "calibration": 0.1}
    found = [split_of(h, fractions, seed=0) for h in hashes]
    for name, fraction in fractions.items():
        # Four standard deviations of 10,000 draws are below 0.02.
        assert abs(found.count(name) / 10_000 - fraction) < 0.02


def test_split_depends_on_content_and_seed_alone():
    fractions = {"train": 0.5, "validation": 0.5}
    same = {split_of("ab", fractions, seed=1) for _ in range(3)}
    assert len(same) == 1
    by_seed = {split_of("ab", fractions, seed=s) for s in range(20)}
    assert by_seed == {"train", "validation"}


def test_uniform_is_pinned():
    # A change here would move images between splits of existing data sets.
    assert uniform("tagforest") == pytest.approx(0.762330572222)
