import hashlib

import numpy as np
import pytest

from beam_jobs.dataset.dataset_folder import SPLITS
from beam_jobs.dataset_job.options import (
    SplitOptions,
    parse_fractions,
    show_fractions,
)
from beam_jobs.dataset_job.splits import (
    SplitReport,
    assign_splits,
    uniform,
)
from beam_jobs.errors import InputError
from tests.helpers.hashes import contents

TRAIN, VALIDATION, CALIBRATION, TEST = range(4)
HALVES = {"train": 0.5, "validation": 0.5}
THIRDS = {"train": 0.4, "validation": 0.3, "calibration": 0.3}
TESTED = {"train": 0.4, "validation": 0.3, "test": 0.3}


def options(fractions=HALVES, **changes) -> SplitOptions:
    free = {"validation_per_class": 0, "validation_max": 0} | changes
    return SplitOptions(fractions, **free)


def classes_of(*rows) -> tuple[np.ndarray, np.ndarray]:
    lengths = [len(row) for row in rows]
    return (
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([c for row in rows for c in row], np.int32),
    )


def assign(content, rows=None, perceptual=None, **changes):
    ragged = classes_of(*(rows or [()] * len(content)))
    return assign_splits(content, perceptual, *ragged, options(**changes))


def distances(hashes) -> np.ndarray:
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), 1)
    return (bits[:, None] != bits[None]).sum(axis=2)


def test_parses_fractions():
    assert parse_fractions("train=0.8,validation=0.2") == {
        "train": 0.8,
        "validation": 0.2,
    }


def test_parses_the_splits_of_the_sources():
    assert parse_fractions("source") == {}
    assert parse_fractions("source,calibration=0.1") == {"calibration": 0.1}
    assert SplitOptions({}).kept and not SplitOptions().kept
    for text in ("source", "source,calibration=0.1", "train=0.5,test=0.5"):
        assert show_fractions(parse_fractions(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("train", "train=x", "test=1", "train=0.5", "validation=1", "train=2"),
        *("source,test=0.1", "source,calibration=2", "calibration=0.1,source"),
    ],
)
def test_refuses_bad_fractions(text):
    with pytest.raises(InputError, match="received: "):
        parse_fractions(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"near_duplicate_distance": 12},
        {"near_duplicate_distance": -2},
        {"validation_per_class": -1},
        {"validation_max": -1},
    ],
)
def test_refuses_bad_options(changes):
    with pytest.raises(InputError, match="received: "):
        SplitOptions(**changes)


def test_uniform_is_pinned():
    # A change here would move images between splits of existing data sets.
    found = uniform(np.array([0, 1, 2**64 - 1], np.uint64), "tagforest")
    assert found.tolist() == [
        0.6594783292837268,
        0.3751859592886283,
        0.6966508365358589,
    ]


def test_uniform_spreads_even_over_counters():
    points = uniform(np.arange(10_000, dtype=np.uint64), "any")
    # Four standard deviations of a count of 1,000 are 120.
    assert np.abs(np.histogram(points, 10, (0, 1))[0] - 1000).max() < 120
    other = uniform(np.arange(10_000, dtype=np.uint64), "other")
    assert abs(np.corrcoef(points, other)[0, 1]) < 0.04


def test_split_follows_the_fractions():
    found, report = assign(contents(10_000), fractions=THIRDS)
    for index, split in enumerate(SPLITS):
        # Four standard deviations of 10,000 draws are below 0.02.
        assert abs((found == index).mean() - THIRDS.get(split, 0)) < 0.02
    assert report == SplitReport()


def test_split_depends_on_content_and_seed_alone():
    content = contents(200)
    found, _ = assign(content, seed=1)
    again, _ = assign(content[:50], seed=1)
    assert found[:50].tolist() == again.tolist()
    assert found.tolist() != assign(content, seed=2)[0].tolist()


def test_no_images_at_all():
    found, report = assign(contents(0), perceptual=contents(0))
    assert (found.shape, found.dtype) == ((0,), np.int8)
    assert report == SplitReport()


def test_caps_keep_the_first_of_each_class():
    content = contents(400)
    rows = [(i % 2, 2) if i % 4 else (i % 2,) for i in range(400)]
    drawn, _ = assign(content, rows)
    found, report = assign(content, rows, validation_per_class=30)
    counts = np.zeros(3, int)
    for row, split in zip(rows, found, strict=True):
        counts[list(row)] += split == VALIDATION
    assert counts.max() <= 30
    # Images of class 0 alone compete with none of class 2.
    assert counts[0] >= 20
    assert report.moved_by_class_cap == (drawn != found).sum() > 0
    assert (found[drawn != found] == TRAIN).all()


def test_total_cap_keeps_that_many():
    found, report = assign(contents(1000), validation_max=100)
    assert (found == VALIDATION).sum() == 100
    assert report.moved_by_total_cap == (
        (assign(contents(1000))[0] == VALIDATION).sum() - 100
    )


def test_total_cap_counts_what_the_class_cap_has_left():
    rows = [(i % 50,) for i in range(1000)]
    found, report = assign(
        contents(1000), rows, validation_per_class=5, validation_max=200
    )
    assert (found == VALIDATION).sum() == 200
    assert report.moved_by_class_cap and report.moved_by_total_cap


def test_caps_leave_calibration_alone():
    rows = [(0,)] * 300
    drawn, _ = assign(contents(300), rows, fractions=THIRDS)
    found, _ = assign(
        contents(300), rows, fractions=THIRDS, validation_per_class=5
    )
    assert (found == VALIDATION).sum() == 5
    assert ((found == CALIBRATION) == (drawn == CALIBRATION)).all()


def test_a_class_named_twice_counts_once():
    once, _ = assign(contents(99), [(0,)] * 99, validation_per_class=9)
    twice, _ = assign(contents(99), [(0, 0)] * 99, validation_per_class=9)
    assert once.tolist() == twice.tolist()


def test_copies_count_and_go_together():
    content = np.tile(contents(40), 3)
    rows = [(i % 7,) for i in range(120)]
    found, _ = assign(content, rows, validation_per_class=4)
    assert (found.reshape(3, 40) == found[:40]).all()
    for c in range(7):
        named = [s for s, row in zip(found, rows, strict=True) if c in row]
        assert named.count(VALIDATION) <= 4


def test_more_copies_than_the_cap_go_to_train():
    content = np.repeat(contents(20), 6)
    found, _ = assign(content, [(0,)] * 120, validation_per_class=5)
    assert not found.any()


def pair_in(content, first, second, **changes):
    """Indices of an image of each split, as drawn."""
    drawn, _ = assign(content, **changes)
    return [int(np.flatnonzero(drawn == s)[0]) for s in (first, second)]


def test_near_duplicate_of_train_goes_to_train():
    content, perceptual = contents(20), contents(20)
    one, other = pair_in(content, VALIDATION, TRAIN)
    perceptual[one] = perceptual[other] ^ np.uint64(0b111111)
    found, report = assign(content, perceptual=perceptual)
    assert found[one] == found[other] == TRAIN
    assert report.moved_as_near_duplicates == 1
    exact, _ = assign(
        content, perceptual=perceptual, near_duplicate_distance=-1
    )
    assert exact[one] == VALIDATION


def test_near_duplicate_of_calibration_goes_there():
    content, perceptual = contents(20), contents(20)
    one, other = pair_in(content, VALIDATION, CALIBRATION, fractions=THIRDS)
    perceptual[one] = perceptual[other] ^ np.uint64(1)
    found, report = assign(content, perceptual=perceptual, fractions=THIRDS)
    assert found[one] == found[other] == CALIBRATION
    assert report.moved_as_near_duplicates == 1


def test_validation_and_test_agree_on_the_first():
    content, perceptual = contents(20), contents(20)
    one, other = pair_in(content, VALIDATION, TEST, fractions=TESTED)
    perceptual[one] = perceptual[other] ^ np.uint64(1)
    found, report = assign(content, perceptual=perceptual, fractions=TESTED)
    assert found[one] == found[other] != TRAIN
    assert report.moved_as_near_duplicates == 1


def test_a_calibration_split_comes_out_of_train_alone():
    before, _ = assign(contents(2000), fractions={"train": 1})
    halves, _ = assign(contents(2000))
    found, _ = assign(
        contents(2000),
        fractions={"train": 0.3, "validation": 0.5, "calibration": 0.2},
    )
    assert not before.any()
    moved = halves != found
    assert (halves[moved] == TRAIN).all() and moved.sum() > 300
    assert (found[moved] == CALIBRATION).all()


@pytest.mark.parametrize("seed", range(12))
def test_validation_stays_whatever_calibration_takes(seed):
    content, perceptual, rows = hard_case(seed)
    wanted = {
        "validation_per_class": 4,
        "validation_max": 60,
        "near_duplicate_distance": seed % 8,
    }
    without, added = (
        assign(content, rows, perceptual, fractions=fractions, **wanted)[0]
        for fractions in (
            {"train": 0.4, "validation": 0.4, "test": 0.2},
            {"train": 0.2, "validation": 0.4, "test": 0.2, "calibration": 0.2},
        )
    )
    assert (added == CALIBRATION).any() and (without == VALIDATION).any()
    for split in (VALIDATION, TEST):
        assert ((without == split) == (added == split)).all()


def test_default_splits_are_pinned():
    # A change here would move images between splits of existing data sets.
    content, perceptual, rows = hard_case(3)
    found, _ = assign_splits(
        content, perceptual, *classes_of(*rows), SplitOptions()
    )
    digest = hashlib.sha256(found.tobytes()).hexdigest()
    assert digest[:16] == "1d9129da1082aab6"


def test_a_chain_to_train_moves_whole():
    # Steps of 6 bits from one image to the next, along all of validation.
    drawn, _ = assign(contents(60), fractions=THIRDS)
    held = np.flatnonzero(drawn)[:10]
    chain = [*held, int(np.flatnonzero(drawn == TRAIN)[0])]
    perceptual = contents(60)
    for step, image in enumerate(chain):
        perceptual[image] = (1 << 6 * step) - 1 if step < 11 else 0
    found, _ = assign(contents(60), perceptual=perceptual, fractions=THIRDS)
    assert not found[chain].any()
    assert found.any()


def hard_case(seed: int):
    """Few pictures in many near copies, chains, exact copies, turned ones."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2**64, 60, dtype=np.uint64)
    perceptual = random.choice(centres, 900)
    for _ in range(int(random.integers(1, 9))):
        flips = np.uint64(1) << random.integers(0, 64, 900).astype(np.uint64)
        perceptual = np.where(random.random(900) < 0.6, perceptual, flips)
        perceptual = perceptual ^ flips
    # Many pictures are like no other.
    alone = random.random(900) < 0.5
    perceptual[alone] = random.integers(0, 2**64, alone.sum(), dtype=np.uint64)
    content = random.integers(0, 2**64, 900, dtype=np.uint64)
    content[800:] = content[:100]
    perceptual[800:850] = perceptual[:50]
    rows = [
        tuple(random.integers(0, 30, random.integers(0, 4)).tolist())
        for _ in range(900)
    ]
    return content, perceptual, rows


@pytest.mark.parametrize("seed", range(12))
def test_every_rule_holds_for_every_pair(seed):
    content, perceptual, rows = hard_case(seed)
    wanted = {
        "fractions": {"train": 0.3, "validation": 0.4, "calibration": 0.3},
        "validation_per_class": 4,
        "validation_max": 60,
        "near_duplicate_distance": seed % 8,
    }
    found, report = assign(content, rows, perceptual, **wanted)
    near = distances(perceptual) <= seed % 8
    same = near | (content[:, None] == content)
    assert (found[:, None] == found)[same].all()
    counts = np.zeros(30, int)
    for row, split in zip(rows, found, strict=True):
        counts[list(set(row))] += split == VALIDATION
    assert counts.max() <= 4
    assert 0 < (found == VALIDATION).sum() <= 60
    assert (found == CALIBRATION).any() and (found == TRAIN).any()
    assert report.moved_as_near_duplicates > 0


def test_order_of_the_images_does_not_matter():
    content, perceptual, rows = hard_case(0)
    wanted = {
        "fractions": THIRDS,
        "validation_per_class": 4,
        "validation_max": 60,
    }
    found, report = assign(content, rows, perceptual, **wanted)
    place = np.random.default_rng(1).permutation(900)
    permuted, same_report = assign(
        content[place], [rows[i] for i in place], perceptual[place], **wanted
    )
    assert permuted.tolist() == found[place].tolist()
    assert report == same_report


def test_caps_hold_after_near_duplicates_have_joined_validation():
    # All that is held out is one picture: whatever split it joins, no more
    # than five of it may be in validation.
    content = contents(200)
    fractions = {"train": 0.2, "validation": 0.4, "test": 0.4}
    drawn, _ = assign(content, fractions=fractions)
    perceptual = contents(200)
    perceptual[drawn != TRAIN] = 7
    for seed in range(4):
        found, _ = assign(
            content,
            [(0,)] * 200,
            perceptual,
            fractions=fractions,
            seed=seed,
            validation_per_class=5,
        )
        assert (found == VALIDATION).sum() <= 5
