"""The certificate's figures, by numbers that a hand can compute."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving.formats import parity
from serving.formats.check_images import Batch
from serving.formats.parity import LIMITS, Limits, Parity

THRESHOLDS = np.array([0.5, 0.5, 0.5, 2.0], np.float32)
THEIRS = np.array([[0.9, 0.4, 0.50005, 0.99]] * 2, np.float32)


def compared(change, positive=None, theirs=THEIRS) -> Parity:
    """Compares two images of one pixel; `change` is added to the format's."""
    pixels = np.zeros((2, 1, 1, 3), np.uint8)
    images = parity.as_images(pixels)
    return parity.compare(
        [Batch(images, pixels, positive)],
        lambda given: np.resize(theirs, (len(given), 4)),
        lambda given: np.resize(theirs + change, (len(given), 4)),
        THRESHOLDS,
    )


def test_equal_answers():
    found = compared(np.float32(0.0))
    assert (found.images, found.probability, found.tags) == (2, 0.0, 4)
    assert (found.tags_differ, found.ties, found.rounding) == (0, 0, 0.0)
    assert found.f1_at_5 is None
    assert found.beyond(LIMITS["float32"]) == []
    assert sorted(found.milliseconds) == [1, 32]


def test_tags_and_ties():
    change = np.array([-0.5, 0, -0.0001, 0], np.float32)
    found = compared(change)
    # The first class is no tag any more; the third was one by half a tie.
    assert (found.tags_differ, found.ties) == (2, 2)
    assert found.probability == pytest.approx(0.5)
    one, other = found.beyond(LIMITS["float32"])
    assert one == "a probability differs by 0.5, at most 0.0001 is allowed"
    assert other == "2 tags differ, 0 are allowed"
    assert found.beyond(LIMITS["int8"]) == []


def test_f1_needs_labels():
    classes = 20
    theirs = np.linspace(1, 0, classes, dtype=np.float32)[None]
    positive = np.zeros((1, classes), bool)
    positive[0, :5] = True
    pixels = np.zeros((1, 1, 1, 3), np.uint8)
    found = parity.compare(
        [Batch(parity.as_images(pixels), pixels, positive)],
        lambda given: np.repeat(theirs, len(given), 0),
        # One of the five best is another class.
        lambda given: np.repeat(np.roll(theirs, 1, 1), len(given), 0),
        np.full(classes, 0.5, np.float32),
    )
    assert found.f1_at_5 == (1.0, 0.8)
    (said,) = found.beyond(LIMITS["int8"])
    assert said == "F1 at 5 differs by 0.2000, at most 0.005 is allowed"


def test_numbers_that_are_none_are_refused():
    found = compared(np.float32("nan"))
    assert found.probability == float("inf")
    assert found.beyond(LIMITS["float32"])


def test_what_is_written():
    found = compared(np.float32(0.0))
    told = parity.to_json(found, LIMITS["float32"])
    assert json.loads(json.dumps(told)) == told
    assert told["limits"] == {"probability": 1e-4, "tags": 0, "f1_at_5": None}
    text = parity.table(found, Limits(), "onnx")
    assert "tags that differ, of 4" in text
    assert "F1 at 5" not in text
