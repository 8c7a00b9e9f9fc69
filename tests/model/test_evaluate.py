import json

import numpy as np
import pytest

from beam_jobs.errors import InputError
from beam_jobs.hierarchy import Hierarchy
from model import evaluate
from model.report import TITLES

# 0 animal -> 1 dog, 2 cat; 3 chair: three leaves.
TREE = Hierarchy([(), (0,), (0,), ()])
TRAIN_COUNTS = np.array([9, 6, 3, 1])
# A dog; a cat on a chair; an animal whose kind nobody noted.
LABELS = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [1, 0, 0, 0]], "float32")
# Best first: 0 1 2 3; 1 2 3 0; 3 0 1 2.
SCORES = np.array(
    [[0.9, 0.8, 0.2, 0.1], [0.1, 0.9, 0.8, 0.7], [0.7, 0.3, 0.2, 0.9]]
)


@pytest.fixture(scope="module")
def found():
    return evaluate.evaluate_scores([(LABELS, SCORES)], TREE, TRAIN_COUNTS)


def test_all_figures_have_titles(found):
    assert list(found.figures) == list(TITLES)


def test_images_and_labels(found):
    assert found.split == "validation"
    assert found.images == 3
    assert found.labels_per_image == 2.0
    np.testing.assert_array_equal(found.positives, [3, 1, 1, 1])
    np.testing.assert_array_equal(found.depth, [0, 1, 1, 0])


def test_at_5_all_four_classes_are_chosen(found):
    # 2, 3 and 1 hits of 5; F1 is 2 hits / (5 + labels).
    expected = (4 / 7 + 6 / 8 + 2 / 6) / 3
    figure = found["f1_at_5"]
    assert figure.model == pytest.approx(expected)
    assert figure.baseline == pytest.approx(expected)
    assert figure.ceiling == pytest.approx(expected)
    assert found["precision_at_5"].model == pytest.approx(6 / 15)
    assert found["recall_at_5"].model == 1.0
    assert found["precision_at_10"].ceiling == pytest.approx(6 / 30)


def test_best_leaf_right(found):
    # Model: dog right, dog wrong, chair wrong. Baseline always says dog. The
    # third image has no leaf among its labels.
    figure = found["best_leaf_right"]
    assert figure.model == pytest.approx(1 / 3)
    assert figure.baseline == pytest.approx(1 / 3)
    assert figure.ceiling == pytest.approx(2 / 3)
    assert figure.gap_closed == pytest.approx(0.0)


def test_leaf_f1(found):
    # Three leaves chosen: 1 hit of 1 label, 2 of 2, none.
    figure = found["leaf_f1_at_5"]
    assert figure.model == pytest.approx((2 / 6 + 4 / 7 + 0) / 3)
    assert figure.ceiling == pytest.approx((2 / 6 + 4 / 7 + 0) / 3)


def test_average_precision(found):
    # animal: every image -> 1. dog: second -> 1/2. cat: first -> 1.
    # chair: second -> 1/2.
    expected = [1.0, 0.5, 1.0, 0.5]
    np.testing.assert_allclose(found.average_precision, expected, rtol=1e-6)
    figure = found["macro_average_precision"]
    assert figure.model == pytest.approx(0.75)
    assert figure.baseline == pytest.approx((1 + 3 * 1 / 3) / 4)
    assert figure.ceiling == 1.0


def test_batches_do_not_matter(found):
    one_by_one = [(LABELS[i : i + 1], SCORES[i : i + 1]) for i in range(3)]
    again = evaluate.evaluate_scores(one_by_one, TREE, TRAIN_COUNTS)
    assert again.to_json() == found.to_json()


def test_a_perfect_and_a_constant_model():
    random = np.random.default_rng(5)
    labels = (random.random((40, 30)) < 0.2).astype("float32")
    tree = Hierarchy([()] * 30)
    counts = labels.sum(axis=0)
    perfect = evaluate.evaluate_scores([(labels, labels)], tree, counts)
    for figure in perfect.figures.values():
        assert figure.model == pytest.approx(figure.ceiling)
        assert figure.gap_closed == pytest.approx(1.0)
    constant = np.broadcast_to(counts / 100, labels.shape)
    nothing = evaluate.evaluate_scores([(labels, constant)], tree, counts)
    for figure in nothing.figures.values():
        assert figure.gap_closed == pytest.approx(0.0, abs=1e-6)


def test_unknown_labels_are_no_positives():
    labels = np.where(LABELS > 0, 1.0, -1.0)
    found = evaluate.evaluate_scores([(labels, SCORES)], TREE, TRAIN_COUNTS)
    assert found.labels_per_image == 2.0
    np.testing.assert_array_equal(found.positives, [3, 1, 1, 1])


def test_refuses_no_images():
    with pytest.raises(InputError, match="'validation' has no images"):
        evaluate.evaluate_scores([], TREE, TRAIN_COUNTS)


def test_refuses_another_number_of_classes():
    with pytest.raises(InputError, match=r"\[images, 4\].*scores \[3, 2\]"):
        evaluate.evaluate_scores([(LABELS, SCORES[:, :2])], TREE, TRAIN_COUNTS)


def test_json_is_plain_and_rounded(found):
    content = json.loads(json.dumps(found.to_json()))
    assert content["figures"]["best_leaf_right"] == {
        "model": 0.333333,
        "baseline": 0.333333,
        "ceiling": 0.666667,
        "gap_closed": 0.0,
    }
    assert content["by_depth"] == [
        {"depth": 0, "classes": 2, "macro_average_precision": 0.75},
        {"depth": 1, "classes": 2, "macro_average_precision": 0.75},
    ]
