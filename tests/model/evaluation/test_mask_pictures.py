"""Tests of model.evaluation.mask_pictures."""

import numpy as np
import pytest
from PIL import Image

from model.evaluation import mask_pictures
from tests.helpers.shared_data import FOLDER

VOC = FOLDER / "voc2012" / "VOC2012"
NAMES = ("aeroplane", "bicycle", "bird")
WHITE = (255, 255, 255)


def colours(image):
    return {colour for _, colour in image.getcolors(1 << 24)}


def test_palette_is_the_devkits():
    # VOClabelcolormap: background, aeroplane, bicycle, boat, tvmonitor, void.
    expected = {
        **{0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 4: (0, 0, 128)},
        **{20: (0, 64, 128), 255: (224, 224, 192)},
    }
    found = mask_pictures.palette()
    assert {i: tuple(found[i].tolist()) for i in expected} == expected
    assert len({tuple(c) for c in found.tolist()}) == 256


@pytest.mark.skipif(not VOC.is_dir(), reason=f"{VOC} is not here")
def test_palette_is_that_of_real_masks():
    mask = next((VOC / "SegmentationClass").glob("*.png"))
    palette = np.uint8(Image.open(mask).getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette, mask_pictures.palette())


def test_overlay_mixes_and_leaves_the_background():
    image = np.full((1, 3, 3), 100, np.uint8)
    found = mask_pictures.overlay(image, np.uint8([[0, 1, 255]]))
    # 40 % of 100 and 60 % of (128, 0, 0) and (224, 224, 192).
    expected = [[100, 100, 100], [117, 40, 40], [174, 174, 155]]
    assert found[0].tolist() == expected


def test_legend_names_what_is_there():
    image = np.full((40, 300, 3), 255, np.uint8)
    mask = np.zeros((40, 300), np.uint8)
    mask[:, :9] = 2
    drawn = mask_pictures.draw_mask(image, mask, NAMES)
    assert drawn.width == 300 and drawn.height > 40
    legend = drawn.crop((0, 40, 300, drawn.height))
    found = colours(legend)
    assert (0, 128, 0) in found and (128, 0, 0) not in found
    mask[:, 9:20] = 1
    both = mask_pictures.draw_mask(image, mask, NAMES)
    assert {(0, 128, 0), (128, 0, 0)} <= colours(both)


def test_a_long_legend_goes_on_in_a_next_line():
    image = np.zeros((40, 90, 3), np.uint8)
    mask = np.zeros((40, 90), np.uint8)
    mask[0, :3] = 1, 2, 3
    short = mask_pictures.draw_mask(image, np.minimum(mask, 1), NAMES)
    long = mask_pictures.draw_mask(image, mask, NAMES)
    assert long.height == short.height + 2 * 18


def test_sheet_has_a_row_for_each_image_of_any_size():
    sizes = [(30, 60), (60, 30)]
    images = [np.full((*size, 3), 90, np.uint8) for size in sizes]
    truths = [np.full(size, 1, np.uint8) for size in sizes]
    found = [np.full(size, 3, np.uint8) for size in sizes]
    sheet = mask_pictures.draw_sheet(images, truths, found, NAMES)
    one = mask_pictures.draw_sheet(images[:1], truths[:1], found[:1], NAMES)
    assert sheet.width == one.width == 3 * (256 + 8) + 8
    # The landscape is 128 high, the portrait 256.
    assert sheet.height - one.height == one.height - 26 + 128
    # In the middle of the first row: image, truth, prediction.
    middles = [sheet.getpixel((136 + i * 264, 26 + 70)) for i in range(3)]
    assert middles == [(90, 90, 90), (113, 36, 36), (113, 113, 36)]


def test_an_id_beyond_the_names_has_no_line():
    image = np.zeros((8, 200, 3), np.uint8)
    drawn = mask_pictures.draw_mask(image, np.full((8, 200), 9), NAMES)
    legend = drawn.crop((0, 8, 200, drawn.height))
    assert colours(legend) == {WHITE}
