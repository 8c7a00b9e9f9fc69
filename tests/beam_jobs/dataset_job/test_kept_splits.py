import numpy as np

from beam_jobs.dataset_job.kept_splits import KeptReport, keep_splits
from beam_jobs.dataset_job.options import SplitOptions
from tests.helpers.hashes import contents

TRAIN, CALIBRATION = 0, 2


def keep(content, perceptual, given, distance=6, **fractions):
    chosen = SplitOptions(fractions, near_duplicate_distance=distance)
    return keep_splits(content, perceptual, given, chosen)


def test_calibration_is_drawn_out_of_a_train_that_is_kept():
    given = np.tile(np.array([-1, 0, 1, 3], np.int8), 1000)
    found, _, _ = keep(contents(4000), None, given, calibration=0.25)
    assert (found[given > 0] == given[given > 0]).all()
    of_train = found[given <= 0]
    assert set(of_train.tolist()) == {TRAIN, CALIBRATION}
    # Four standard deviations of 2,000 draws are below 0.04.
    assert abs((of_train == CALIBRATION).mean() - 0.25) < 0.04
    again, _, _ = keep(contents(4000)[:50], None, given[:50], calibration=0.25)
    assert again.tolist() == found[:50].tolist()


def test_kept_splits_are_as_given_and_the_rest_is_trained_on():
    given = np.array([-1, 1, 3, 0, -1], np.int8)
    found, across, report = keep(contents(5), None, given)
    assert found.tolist() == [0, 1, 3, 0, 0] and not across.any()
    assert report == KeptReport(2, 0, 0)


def test_copies_across_kept_splits_count_outside_train():
    content = contents(4)[[0, 0, 1, 1, 2, 2, 3]]
    # A copy within a split, one of two held-out splits, one of train and test.
    given = np.array([1, 1, 1, 3, 0, 3, 3], np.int8)
    perceptual = contents(7)
    _, across, report = keep(content, perceptual, given, 0)
    assert report == KeptReport(0, 3, 0)
    assert np.flatnonzero(across).tolist() == [2, 3, 5]


def test_near_duplicates_across_kept_splits_are_no_copies():
    base = contents(3)
    hashes = np.array(
        [base[0], base[0] ^ np.uint64(7), base[1], base[1], base[2]], np.uint64
    )
    given = np.array([0, 1, 1, 3, 3], np.int8)
    content = contents(5)
    assert keep(content, hashes, given, 3)[2] == KeptReport(0, 0, 3)
    assert keep(content, hashes, given, 2)[2] == KeptReport(0, 0, 2)
    assert keep(content, hashes, given, -1)[2] == KeptReport(0, 0, 0)
