from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageColor

from serving.api.drawn import Box, Detection, Segment, Segmentation
from serving.ui.drawing import (
    colour_of,
    entries_of,
    overlay,
    small_mask,
    to_drawn,
)
from serving.ui.tag_tree import Choice
from tests.helpers.images import encode

DOG, CAT = "n02084071", "n02121620"
BOXES = Detection(
    True,
    (
        Box("dog", DOG, 0.9, 10, 20, 30, 60),
        Box("cat", CAT, 0.4, 0, 0, 100, 200),
        Box("dog", DOG, 0.2, 0, 0, 50, 50),
    ),
)
SEGMENTS = (
    Segment(0, "background", "", 0.5),
    Segment(2, "cat", CAT, 0.25),
    Segment(1, "dog", DOG, 0.25),
)
IDS = np.array([[0, 0, 1, 2]] * 3, np.uint8)
MASK = Segmentation(True, SEGMENTS, encode(IDS))


def test_boxes_have_places_in_percent_of_the_image():
    size = (100, 200)
    shown = entries_of(BOXES, size, Choice())
    places = [(10, 10, 20, 20), (0, 0, 100, 100), (0, 0, 25, 50)]
    assert [e.place for e in shown] == places
    found = [("dog", 0.9), ("cat", 0.4), ("dog", 0.2)]
    assert [(e.name, e.value) for e in shown] == found
    assert shown[0].colour == colour_of(DOG) != shown[1].colour
    assert len(entries_of(BOXES, size, Choice(most_rows=1))) == 1
    (found,) = entries_of(BOXES, None, Choice(search=" CAT"))
    assert (found.name, found.place) == ("cat", None)


def pixels(url: str) -> np.ndarray:
    head, _, text = url.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_a_mask_is_drawn_in_the_colours_of_the_legend():
    shown = entries_of(MASK, (3, 4), Choice())
    assert [e.name for e in shown] == ["background", "cat", "dog"]
    dog, cat = (
        (*ImageColor.getrgb(colour_of(wnid)), 255) for wnid in (DOG, CAT)
    )
    drawn = pixels(overlay(MASK, shown))
    assert drawn.shape == (3, 4, 4)
    assert drawn[1].tolist() == [[0] * 4, [0] * 4, [*dog], [*cat]]
    # What was not searched for is not drawn.
    drawn = pixels(overlay(MASK, entries_of(MASK, None, Choice(search="dog"))))
    assert drawn[1].tolist() == [[0] * 4, [0] * 4, [*dog], [0] * 4]
    assert overlay(BOXES, []) == ""


def test_a_large_mask_becomes_small_and_a_broken_one_none():
    large = np.repeat(np.repeat(IDS, 500, axis=0), 500, axis=1)
    small = small_mask(Segmentation(True, SEGMENTS, encode(large)))
    ids = np.asarray(Image.open(io.BytesIO(small.mask)))
    assert ids.shape == (540, 720)
    assert set(np.unique(ids)) == {0, 1, 2}
    broken = small_mask(Segmentation(True, SEGMENTS, MASK.mask[:30]))
    assert (broken.mask, broken.segments) == (b"", SEGMENTS)
    assert overlay(broken, []) == ""


@pytest.mark.parametrize(
    ("answer", "search", "text"),
    [
        (BOXES, "", "No box with these settings: try a lower threshold."),
        (BOXES, "food", 'nothing matches "food"'),
        (
            BOXES,
            "cat",
            'No box matches "cat" with these settings: try a lower threshold.',
        ),
        (MASK, "", "2 classes on 50% of the image"),
        (MASK, "food", 'nothing matches "food"'),
    ],
)
def test_what_is_said(answer, search, text):
    drawn = to_drawn({"version 1": answer}, None, Choice(search=search))
    (panel,) = drawn["panels"]
    assert (panel["said"], panel["title"]) == (text, "")
    assert drawn["wide"] is None


def test_versions_that_are_compared_have_titles():
    drawn = to_drawn({"stable": BOXES, "canary": MASK}, (100, 200), Choice())
    assert [p["title"] for p in drawn["panels"]] == ["stable", "canary"]
    assert [p["boxes"] for p in drawn["panels"]] == [True, False]
    assert drawn["wide"] == 2
    json.dumps(drawn)
