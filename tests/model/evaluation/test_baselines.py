import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.evaluation import baselines


def test_most_frequent_tags():
    scores = baselines.most_frequent_tags(np.array([10, 0, 40, 20]))
    np.testing.assert_allclose(scores, [0.25, 0, 1, 0.5])
    assert scores.dtype == np.float32


def test_most_frequent_tags_needs_labels():
    with pytest.raises(InputError, match="no class has a training image"):
        baselines.most_frequent_tags(np.zeros(3))
    with pytest.raises(InputError, match="no class has a training image"):
        baselines.most_frequent_tags(np.zeros(0))


def test_ceiling_at_5():
    # 3 labels: P 3/5, R 1, F1 6/8. 8 labels: P 1, R 5/8, F1 10/13.
    ceiling = baselines.ceiling_at_k(np.array([3, 8]), 5)
    assert ceiling.precision == pytest.approx(0.8)
    assert ceiling.recall == pytest.approx(0.8125)
    assert ceiling.f1 == pytest.approx((6 / 8 + 10 / 13) / 2)


def test_ceiling_is_1_with_exactly_k_labels():
    assert baselines.ceiling_at_k(np.array([5]), 5) == baselines.AtK(1, 1, 1)


def test_ceiling_of_images_without_labels():
    assert baselines.ceiling_at_k(np.array([0]), 5) == baselines.AtK(0, 0, 0)
    ceiling = baselines.ceiling_at_k(np.array([0, 5]), 5)
    assert ceiling == baselines.AtK(0.5, 0.5, 0.5)


def test_ceiling_without_images():
    assert baselines.ceiling_at_k(np.array([]), 5) == baselines.AtK(0, 0, 0)


def test_gap_closed():
    assert baselines.gap_closed(0.5, 0.25, 0.75) == 0.5
    assert baselines.gap_closed(0.0, 0.25, 0.75) == -0.5
    assert baselines.gap_closed(0.75, 0.25, 0.75) == 1.0


def test_gap_closed_without_a_gap():
    assert baselines.gap_closed(0.5, 0.5, 0.5) is None
