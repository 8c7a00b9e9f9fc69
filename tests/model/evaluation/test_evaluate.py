import json

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source, ledger_codes
from model.evaluation import evaluate
from model.evaluation.result import TITLES
from model.scores.coherent import bottom_up, coherent
from model.scores.scoring import Scored
from model.scores.tagging import Tagging

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
    return evaluate.evaluate_scores(
        [Scored(LABELS, SCORES)], TREE, TRAIN_COUNTS
    )


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
    one_by_one = [
        Scored(LABELS[i : i + 1], SCORES[i : i + 1]) for i in range(3)
    ]
    again = evaluate.evaluate_scores(one_by_one, TREE, TRAIN_COUNTS)
    assert again.to_json() == found.to_json()


def test_a_perfect_and_a_constant_model():
    random = np.random.default_rng(5)
    labels = (random.random((40, 30)) < 0.2).astype("float32")
    tree = Hierarchy([()] * 30)
    counts = labels.sum(axis=0)
    perfect = evaluate.evaluate_scores([Scored(labels, labels)], tree, counts)
    for figure in perfect.figures.values():
        assert figure.model == pytest.approx(figure.ceiling)
        assert figure.gap_closed == pytest.approx(1.0)
    constant = np.broadcast_to(counts / 100, labels.shape)
    nothing = evaluate.evaluate_scores([Scored(labels, constant)], tree, counts)
    for figure in nothing.figures.values():
        assert figure.gap_closed == pytest.approx(0.0, abs=1e-6)


def test_unknown_labels_are_no_positives():
    labels = np.where(LABELS > 0, 1.0, -1.0)
    found = evaluate.evaluate_scores(
        [Scored(labels, SCORES)], TREE, TRAIN_COUNTS
    )
    assert found.labels_per_image == 2.0
    np.testing.assert_array_equal(found.positives, [3, 1, 1, 1])


def test_refuses_no_images():
    with pytest.raises(InputError, match="'validation' has no images"):
        evaluate.evaluate_scores([], TREE, TRAIN_COUNTS)


def test_refuses_another_number_of_classes():
    with pytest.raises(InputError, match=r"\[images, 4\].*scores \[3, 2\]"):
        evaluate.evaluate_scores(
            [Scored(LABELS, SCORES[:, :2])], TREE, TRAIN_COUNTS
        )


def test_json_is_plain_and_rounded(found):
    content = json.loads(json.dumps(found.to_json()))
    assert content["figures"]["best_leaf_right"] == {
        "model": 0.333333,
        "baseline": 0.333333,
        "ceiling": 0.666667,
        "gap_closed": 0.0,
    }
    rows = content["by_depth"]
    assert [(r["depth"], r["classes"]) for r in rows] == [(0, 2), (1, 2)]
    assert [r["macro_average_precision"] for r in rows] == [0.75, 0.75]


def test_by_depth(found):
    # Only dog and cat: 1 hit of 1 label, 1 of 1, none of 0.
    row = found.depths[1]
    assert row.at_depth["f1_at_5"].model == pytest.approx((2 / 6 + 2 / 6) / 3)
    assert row.at_depth == row.from_depth
    # From the roots down is everything.
    assert found.depths[0].from_depth["f1_at_5"] == found["f1_at_5"]
    # Animal and chair: 1 of 1, 2 of 2, 1 of 1.
    expected = (2 / 6 + 4 / 7 + 2 / 6) / 3
    assert found.depths[0].at_depth["f1_at_5"].model == pytest.approx(expected)


def test_deep_classes_are_ranked_apart():
    # Six roots fill the five best; 6 and 7, below root 0, are never chosen
    # among all, but first and second among themselves.
    tree = Hierarchy([()] * 6 + [(0,)] * 2)
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1, 0.2]])
    labels = np.array([[1, 0, 0, 0, 0, 0, 1, 0]])
    batch = Scored(labels, scores)
    found = evaluate.evaluate_scores([batch], tree, np.arange(1, 9))
    assert found["recall_at_5"].model == 0.5
    assert found.depths[1].from_depth["recall_at_5"].model == 1.0
    assert found["best_leaf_right"].model == 0.0


def test_f1_at_k(found):
    assert len(found.f1_at_k) == 20
    # The best class: right, wrong, wrong.
    assert found.f1_at_k[0].model == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found.f1_at_k[4] == found["f1_at_5"]


def test_by_frequency(found):
    # 9 and 6 training images, then 3, then 1.
    rows = [(r.least, r.most, r.classes) for r in found.frequencies]
    assert rows == [(1, 2, 1), (3, 9, 3)]
    assert found.frequencies[0].macro_average_precision == pytest.approx(0.5)
    assert found.frequencies[0].baseline == pytest.approx(1 / 3)
    assert found.frequencies[1].macro_average_precision == pytest.approx(
        2.5 / 3
    )


def test_by_origin():
    tree = Hierarchy([()] * 11)
    labels = np.zeros((1, 11), np.int8)
    labels[0, [0, 1, 10]] = 1
    ledger = np.full((1, 11), -1, np.int8)
    ledger[0, 0] = ledger_codes(int(Rule.ANNOTATED), int(Source.IMAGENET))
    ledger[0, 1] = ledger_codes(int(Rule.ANCESTOR), int(Source.IMAGENET))
    ledger[0, 10] = ledger_codes(int(Rule.ANCESTOR), int(Source.COCO))
    scores = np.linspace(0.9, 0.1, 11)[None]
    batch = Scored(labels, scores, ledger)
    found = evaluate.evaluate_scores([batch], tree, np.arange(11, 0, -1))
    assert [(r.origin, r.labels) for r in found.rules] == [
        ("annotated", 1),
        ("ancestor", 2),
    ]
    # Class 10 scores worst: 1 of the 2 ancestors is among the best 10.
    assert found.rules[0].recalls["recall_at_10"].model == 1.0
    assert found.rules[1].recalls["recall_at_10"].model == 0.5
    assert found.rules[1].recalls["recall_at_10"].ceiling == 1.0
    assert [(r.origin, r.labels) for r in found.sources] == [
        ("imagenet", 2),
        ("coco", 1),
    ]


def test_without_unknown_labels():
    # Class 1 is unknown where it scores best: it is no mistake there.
    labels = np.array([[1, -1, 0], [0, 1, -1]])
    scores = np.array([[0.5, 0.9, 0.6], [0.1, 0.8, 0.9]])
    tree = Hierarchy([(), (), ()])
    batches = [Scored(labels, scores)]
    found = evaluate.evaluate_scores(batches, tree, np.array([3, 2, 1]))
    known = found.known
    assert (known.images, known.classes) == (2, 1)
    # Observed: class 0 is 1 / 1, class 1 is 1 / 2.
    assert found["macro_average_precision"].model == pytest.approx(0.75)
    assert known.figures["macro_average_precision"].model == 1.0
    assert known.figures["macro_average_precision"].baseline == 0.5
    # One hit of one label in both images.
    assert known.figures["recall_at_5"].model == 1.0
    assert known.figures["f1_at_5"].model == pytest.approx(2 / 6)


def test_without_verified_absent_classes_there_are_no_such_figures():
    labels = np.where(LABELS > 0, 1, -1)
    batches = [Scored(labels, SCORES)]
    found = evaluate.evaluate_scores(batches, TREE, TRAIN_COUNTS)
    assert found.known is None
    assert found.to_json()["known_labels"] is None


def test_thresholds():
    # Logits stay; animal from 0.6 on, dog from 0.85 on, cat never, chair 0.5.
    tagging = Tagging(
        np.tile([1.0, 0.0], (4, 1)), np.array([0.6, 0.85, np.inf, 0.5]), {}
    )
    scores = coherent(SCORES, bottom_up(TREE))
    found = evaluate.evaluate_scores(
        [Scored(LABELS, scores)], TREE, TRAIN_COUNTS, calibration=tagging
    )
    tags = found.calibration.tags
    # animal (right) | animal for its dog (right), dog (wrong), chair (right) |
    # animal (right), chair.
    fitted = tags["thresholds"]
    assert fitted.tags_per_image == pytest.approx(6 / 3)
    assert fitted.precision == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert fitted.recall == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert fitted.f1 == pytest.approx(2 / 3)
    assert fitted.micro_precision == pytest.approx(4 / 6)
    # animal 3 of 3 of 3, dog 0, cat 0, chair 1 of 2 of 1.
    assert fitted.macro_f1 == pytest.approx((1 + 0 + 0 + 2 / 3) / 4)
    assert tags["score 0.5"] == tags["probability 0.5"]
    np.testing.assert_allclose(
        found.tags_of_classes[2], [1, 0, 0, 2 / 3], rtol=1e-6
    )


def test_calibration_makes_no_tag_without_its_parents():
    # Slope 1; the animal's offset sinks it below its dog.
    values = np.array([[1.0, -9.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    tagging = Tagging(values, np.full(4, 0.5), {})
    scores = coherent(SCORES, bottom_up(TREE))
    found = evaluate.evaluate_scores(
        [Scored(LABELS, scores)], TREE, TRAIN_COUNTS, calibration=tagging
    )
    # animal, dog | animal, dog, cat, chair | chair.
    fitted = found.calibration.tags["thresholds"]
    assert fitted.tags_per_image == pytest.approx((2 + 4 + 1) / 3)
    assert fitted.recall == pytest.approx((1 + 1 + 0) / 3)


def test_average_precision_states_its_error(found):
    assert found.average_precision_error < 1e-6
