"""Tests of model.evaluation.average_precision, by hand and by real figures."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.evaluation.average_precision import (
    RULES,
    Found,
    Truth,
    average_precision,
)
from tests.helpers.boxes import VOC

A, B, C = (0, 0, 10, 10), (0, 5, 10, 15), (50, 50, 60, 60)


def truth(*boxes, classes=None, ignored=None, crowds=None):
    count = len(boxes)
    return Truth(
        np.reshape(np.array(boxes, float), (count, 4)),
        np.array(classes or [0] * count, int),
        np.array(ignored or [False] * count, bool),
        None if crowds is None else np.array(crowds),
    )


def found(*rows, classes=None):
    """Returns boxes of (score, box)."""
    return Found(
        np.reshape(np.array([box for _, box in rows], float), (-1, 4)),
        np.array([score for score, _ in rows]),
        np.array(classes or [0] * len(rows), int),
    )


def of_one_class(truths, founds, rule):
    return float(average_precision(truths, founds, 1, rule)[0])


# Right, wrong, right, of four objects: precision 1, 1/2, 2/3 at recalls 1/4,
# 1/4, 1/2, which is 1 up to 1/4 and 2/3 up to 1/2.
CURVE = (
    [truth(A, C), truth(A, C)],
    [found((0.9, A), (0.8, (80, 80, 90, 90))), found((0.7, C))],
)


@pytest.mark.parametrize(
    "rule, wanted",
    [
        ("voc", (1 + 2 / 3) / 4),
        # Recalls 0, 0.1 and 0.2; 0.3, 0.4 and 0.5.
        ("voc07", (3 * 1 + 3 * 2 / 3) / 11),
        # 0 to 0.25; 0.26 to 0.50.
        ("coco50", (26 * 1 + 25 * 2 / 3) / 101),
        ("coco", (26 * 1 + 25 * 2 / 3) / 101),
    ],
)
def test_a_curve_by_hand(rule, wanted):
    assert of_one_class(*CURVE, rule) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_second_box_of_an_object_is_wrong(rule):
    # Of two objects one is found twice, then the other: 1, 1/2, 2/3.
    rows = found((0.9, A), (0.8, A), (0.7, C))
    once = found((0.9, A), (0.7, C))
    assert of_one_class([truth(A, C)], [once], rule) == 1.0
    # 1 up to a half of the recalls, 2/3 from there: 6 of 11, 51 of 101.
    wanted = {"voc07": (6 + 5 * 2 / 3) / 11, "voc": 5 / 6}
    each = of_one_class([truth(A, C)], [rows], rule)
    assert each == pytest.approx(wanted.get(rule, (51 + 50 * 2 / 3) / 101))


def test_voc_takes_the_best_object_and_coco_the_best_free_one():
    objects = [truth((0, 0, 10, 10), (0, 2, 10, 12))]
    rows = [found((0.9, (0, 0, 10, 10)), (0.8, (0, 0.5, 10, 10.5)))]
    # 9.5/10.5 with the object that is taken, 8.5/11.5 with the free one.
    assert of_one_class(objects, rows, "coco50") == 1.0
    assert of_one_class(objects, rows, "voc") == 0.5


def test_an_overlap_of_a_half_is_enough_and_less_is_not():
    half, less = (0, 0, 10, 5), (0, 0, 10, 4.9)
    for rule in ("voc", "voc07", "coco50"):
        assert of_one_class([truth(A)], [found((0.9, half))], rule) == 1.0
        assert of_one_class([truth(A)], [found((0.9, less))], rule) == 0.0
    assert of_one_class([truth(A)], [found((0.9, half))], "coco75") == 0.0
    # Right at 0.5 of ten overlaps.
    assert of_one_class([truth(A)], [found((0.9, half))], "coco") == 0.1


def test_what_finds_an_ignored_object_is_neither_right_nor_wrong():
    objects = [truth(A, C, ignored=[True, False])]
    rows = [found((0.9, A), (0.8, A), (0.7, C))]
    assert of_one_class(objects, rows, "voc") == 1.0
    # COCO forgives one box an object, and any number in a crowd.
    assert of_one_class(objects, rows, "coco50") == 0.5
    crowd = [truth(A, C, ignored=[True, False], crowds=[True, False])]
    assert of_one_class(crowd, rows, "coco50") == 1.0
    # IoU 1/4, but all of the box lies in it.
    inside = [found((0.9, (0, 0, 5, 5)), (0.7, C))]
    assert of_one_class(crowd, inside, "coco50") == 1.0
    assert of_one_class(objects, inside, "coco50") == 0.5
    assert of_one_class(crowd, inside, "voc") == 0.5


def test_coco_prefers_an_object_to_an_ignored_one():
    objects = [truth(A, (0, 1, 10, 11), ignored=[True, False])]
    # IoU 1 with the ignored, 9/11 with the other.
    rows = [found((0.9, A))]
    assert of_one_class(objects, rows, "coco50") == 1.0
    assert of_one_class(objects, rows, "voc") == 0.0


def test_classes_without_an_object_to_find_are_left_out():
    objects = [truth(A, B, C, classes=[0, 1, 3], ignored=[False, True, False])]
    rows = [found((0.9, A), (0.8, B), (0.7, C), classes=[0, 1, 2])]
    for rule in RULES:
        each = average_precision(objects, rows, 4, rule)
        np.testing.assert_array_equal(each, [1.0, np.nan, np.nan, 0.0])


def test_classes_do_not_find_each_other():
    objects = [truth(A, A, classes=[0, 1])]
    rows = [found((0.9, A), (0.8, A), classes=[1, 1])]
    np.testing.assert_array_equal(
        average_precision(objects, rows, 2, "voc"), [0.0, 1.0]
    )


def test_equal_scores_go_in_the_order_of_the_images():
    nothing = truth(ignored=[])
    wrong, right = found((0.5, A)), found((0.5, C))
    first = of_one_class([truth(C), nothing], [right, wrong], "voc")
    last = of_one_class([nothing, truth(C)], [wrong, right], "voc")
    assert (first, last) == (1.0, 0.5)


def test_coco_looks_at_a_hundred_boxes_of_an_image():
    far = [(0.9, (80, 80, 90, 90))] * 100
    rows = [found(*far, (0.5, A))]
    assert of_one_class([truth(A)], rows, "coco50") == 0.0
    assert of_one_class([truth(A)], rows, "voc") == pytest.approx(1 / 101)


def test_the_unit_of_the_boxes_does_not_matter():
    rng = np.random.default_rng(0)
    low = rng.random((40, 2))
    boxes = np.concatenate([low, low + rng.random((40, 2))], axis=1)
    moved = boxes + rng.normal(size=boxes.shape) * 0.1
    scores, classes = rng.random(40), rng.integers(0, 3, 40)
    for rule in RULES:
        parts, pixels = (
            average_precision(
                [Truth(boxes * size, classes, np.zeros(40, bool))],
                [Found(moved * size, scores, classes)],
                3,
                rule,
            )
            for size in (1.0, np.array([375.0, 500.0, 375.0, 500.0]))
        )
        assert 0.0 < parts.mean() < 1.0
        np.testing.assert_allclose(parts, pixels, rtol=1e-12)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="voc07, voc, coco.*'voc2012'"):
        average_precision([], [], 1, "voc2012")
    with pytest.raises(ValueError):
        average_precision([truth(A)], [], 1, "voc")


def real(difficult_are_crowds=False):
    """Returns truths, founds, classes of the reference, and its images."""
    rows = json.loads((VOC / "reference_detections.json").read_text())
    # On the last one there is nothing that was found.
    images = sorted({row["image"] for row in rows} | {"2007_001377"})
    names: dict[str, int] = {}
    truths, founds = [], []
    for image in images:
        root = ElementTree.parse(VOC / "Annotations" / f"{image}.xml").getroot()
        objects = root.findall("object")
        edges = [
            [float(o.findtext(f"bndbox/{e}")) for e in EDGES] for o in objects
        ]
        difficult = np.array([o.findtext("difficult") == "1" for o in objects])
        own = [row for row in rows if row["image"] == image]
        named = [o.findtext("name") for o in objects]
        named, found_as = (
            np.array([names.setdefault(n, len(names)) for n in group], int)
            for group in (named, [row["category"] for row in own])
        )
        boxes = [[row["box"][i] for i in (1, 0, 3, 2)] for row in own]
        crowds = difficult if difficult_are_crowds else None
        truths.append(Truth(_half_open(edges), named, difficult, crowds))
        scores = np.array([row["score"] for row in own])
        founds.append(Found(_half_open(boxes), scores, found_as))
    return truths, founds, len(names)


EDGES = ("ymin", "xmin", "ymax", "xmax")


def _half_open(boxes):
    return np.reshape(np.array(boxes, float), (-1, 4)) - [1, 1, 0, 0]


@pytest.mark.skipif(not VOC.is_dir(), reason=f"{VOC} is not here")
def test_real_detections_have_the_references_figures():
    truths, founds, classes = real()
    assert len(truths) == 66
    assert sum(len(t.boxes) for t in truths) == 177
    assert sum(t.ignored.sum() for t in truths) == 25
    figures = {"voc07": 0.6474, "voc": 0.6560}
    figures |= {"coco": 0.3924, "coco50": 0.6557, "coco75": 0.4122}
    for rule, wanted in figures.items():
        each = average_precision(truths, founds, classes, rule)
        assert round(float(np.nanmean(each)), 4) == wanted, rule
    truths, founds, classes = real(difficult_are_crowds=True)
    crowds = {"coco": 0.3952, "coco50": 0.6569, "coco75": 0.4170}
    for rule, wanted in crowds.items():
        each = average_precision(truths, founds, classes, rule)
        assert round(float(np.nanmean(each)), 4) == wanted, rule
