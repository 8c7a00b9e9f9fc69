"""Tests of beam_jobs.images.regions."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.images import regions
from tests.helpers.images import encode


def test_a_box_over_the_edge_by_rounding_is_cut_and_others_are_refused():
    box = regions.make_box("voc:cat", (-1, 0, 52, 40), (50, 80), flag=1)
    assert box == ("voc:cat", 0.0, 0.0, 1.0, 0.5, 1)
    for corners in (
        (0, 0, 53, 40),
        (-3, 0, 10, 40),
        (10, 0, 10, 40),
        (20, 0, 10, 40),
        (math.nan, 0, 10, 40),
    ):
        with pytest.raises(ValueError, match="empty or outside .*height 50"):
            regions.make_box("voc:cat", corners, (50, 80))


def test_parts_of_an_image_go_over_by_little():
    assert regions.make_box("k", (0, 0, 1.005, 1)).ymax == 1.0
    with pytest.raises(ValueError, match="outside"):
        regions.make_box("k", (0, 0, 1.5, 1))


@pytest.mark.parametrize(
    ("said", "size", "turned", "refusal"),
    [
        ("30x20", (30, 20), False, None),
        ("", (30, 20), False, None),
        # Seen as people see it.
        ("30x20", (30, 20), True, None),
        ("20x30", (30, 20), True, "20x30 pixels, the image has 30x20"),
        ("15x10", (30, 20), False, "15x10"),
        ("", (30, 20), True, "turned"),
        ("30x30", (30, 30), True, "turned"),
    ],
)
def test_boxes_are_of_the_image_as_it_is_seen(said, size, turned, refusal):
    if refusal is None:
        regions.check_size(said, size, turned)
    else:
        with pytest.raises(ValueError, match=refusal):
            regions.check_size(said, size, turned)


def test_a_palette_gives_its_numbers_not_its_colours():
    ids = np.array([[0, 1], [20, 255]], np.uint8)
    image = Image.fromarray(ids, "P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    assert regions.read_mask(encode(image, "PNG")).tolist() == ids.tolist()
    assert regions.read_mask(regions.write_mask(ids)).tolist() == ids.tolist()


def test_decoders_that_do_not_know_of_palettes_find_the_ids():
    ids = np.arange(256, dtype=np.uint8).reshape(8, 32)
    mask = regions.write_mask(ids)
    assert tf.io.decode_png(mask, channels=1)[..., 0].numpy().tolist() == (
        ids.tolist()
    )
    gray = Image.open(io.BytesIO(mask)).convert("L")
    assert np.asarray(gray).tolist() == ids.tolist()


def test_other_files_are_no_masks():
    colours = Image.new("RGB", (4, 4))
    for data, match in (
        (encode(colours, "PNG"), "mode RGB; a palette or 8 gray bits"),
        (encode(Image.new("L", (4, 4)), "JPEG"), "no mask"),
        (b"", "no mask: not a PNG$"),
        (encode(Image.new("L", (9000, 9000)), "PNG"), "9000x9000 pixels"),
    ):
        with pytest.raises(ValueError, match=match):
            regions.read_mask(data)
