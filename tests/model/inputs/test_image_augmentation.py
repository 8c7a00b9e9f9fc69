"""Tests of model.inputs.image_augmentation: its distribution and its pixels."""

import dataclasses
import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from beam_jobs.errors import InputError
from model.config import DataConfig
from model.inputs import image_augmentation
from model.inputs.host_images import Workspace
from model.inputs.image_augmentation import Augmentation, ColourChange

PAPER = DataConfig()
WORKSPACE = Workspace()
NOTHING = Augmentation((), (0.0, 0.0), False, None, None)
# A wrong distribution passes once in a million; a right one always does,
# as the draws are the same in every run.
SURE = 1e-6
COUNT = 20_000


@pytest.fixture(name="drawn", scope="module")
def fixture_drawn():
    """Returns 20,000 draws of the paper's augmentation."""
    numbers = image_augmentation.draws(3, np.arange(COUNT))
    return [image_augmentation.choose(row, PAPER) for row in numbers]


def photograph(height=90, width=120):
    """Smooth colours, with edges and all hues."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    pixels = np.asarray(small.resize((width, height))).copy()
    pixels[20:40, 30:50] = [250, 5, 5]
    pixels[50:60] = 128
    return pixels


def apply(image, change, size=48):
    """Returns the image after one augmentation of fixed choices."""
    config = dataclasses.replace(
        PAPER, image_size=size, crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0)
    )
    out = np.empty((size, size, 3), np.uint8)
    image_augmentation.augment(image, change, config, out, WORKSPACE)
    return out


def test_shares_are_those_of_the_paper(drawn):
    counts = {
        0.5: sum(d.flip for d in drawn),
        0.25: sum(d.angle is not None for d in drawn),
    }
    coloured = [d.colour for d in drawn if d.colour is not None]
    orders = sum(c.contrast_last for c in coloured)
    assert stats.binomtest(len(coloured), COUNT, 0.5).pvalue > SURE
    assert stats.binomtest(orders, len(coloured), 0.5).pvalue > SURE
    for share, count in counts.items():
        assert stats.binomtest(count, COUNT, share).pvalue > SURE


def test_choices_are_independent(drawn):
    table = np.zeros((2, 2, 2))
    for d in drawn:
        table[int(d.flip), int(d.angle is None), int(d.colour is None)] += 1
    expected = COUNT * np.full((2, 2, 2), 0.25)
    expected *= np.array([0.25, 0.75])[:, None]
    assert stats.chisquare(table.ravel(), expected.ravel()).pvalue > SURE


def test_strengths_are_uniform(drawn):
    coloured = [d.colour for d in drawn if d.colour is not None]
    ranges = {
        "brightness": (-32 / 255, 32 / 255),
        "saturation": (0.5, 1.5),
        "hue": (-0.2, 0.2),
        "contrast": (0.5, 1.5),
    }
    for name, (low, high) in ranges.items():
        values = [getattr(c, name) for c in coloured]
        uniform = stats.uniform(low, high - low)
        assert stats.kstest(values, uniform.cdf).pvalue > SURE
    angles = [d.angle for d in drawn if d.angle is not None]
    uniform = stats.uniform(-math.pi / 4, math.pi / 2)
    assert stats.kstest(angles, uniform.cdf).pvalue > SURE


def test_crops(drawn):
    boxes = [
        image_augmentation.crop_box(2000, 2000, d, PAPER) for d in drawn[:5000]
    ]
    top, left, height, width = np.array(boxes, float).T
    area, aspect = height * width / 2000**2, width / height
    assert 0.499 < area.min() < 0.51
    assert 0.95 < area.max() <= 1.0
    assert 0.749 < aspect.min() < 0.76
    assert 1.32 < aspect.max() < 1.335
    # Everywhere alike: where it lies, of where it may.
    for low, side in ((top, height), (left, width)):
        room = side < 1990
        place = low[room] / (2000 - side[room])
        assert stats.kstest(place, "uniform").pvalue > SURE
    # All aspects fit at half of the area: both are uniform there.
    small = area < 0.55
    uniform = stats.uniform(0.75, 4 / 3 - 0.75)
    assert stats.kstest(aspect[small], uniform.cdf).pvalue > SURE


def test_panoramas_are_taken_whole():
    [numbers] = image_augmentation.draws(0, np.arange(1))
    drawn = image_augmentation.choose(numbers, PAPER)
    assert image_augmentation.crop_box(10, 1000, drawn, PAPER) == (
        0,
        0,
        10,
        1000,
    )


def test_draws_follow_from_key_and_position():
    keys = (-7, 0, 1, 10**12)
    rows = [image_augmentation.draws(key, np.arange(5)) for key in keys]
    assert len(np.unique(np.concatenate(rows))) == 4 * 5 * rows[0].shape[1]
    # Whatever else a batch holds, and wherever it starts.
    some = image_augmentation.draws(-7, np.array([4, 2]))
    np.testing.assert_array_equal(some, rows[0][[4, 2]])
    far = image_augmentation.draws(0, np.array([2**40]))
    assert len(np.unique(np.concatenate([far, rows[1]]))) == far.size * 6


@pytest.mark.parametrize("size", [48, 90, 200])
def test_resize_is_tensorflows(size):
    image = photograph()
    found = apply(image, NOTHING, size).astype(float)
    expected = tf.image.resize(image, [size, size], antialias=True).numpy()
    # Rounded twice: half a level each.
    assert abs(found - expected).max() <= 1.01
    flipped = apply(image, dataclasses.replace(NOTHING, flip=True), size)
    np.testing.assert_array_equal(flipped, found[:, ::-1])


def test_crop_reads_nothing_beside_it():
    image = photograph(64, 64)
    drawn = dataclasses.replace(NOTHING, boxes=[(0.0, 0.4)], place=(0.5, 0.9))
    top, left, height, width = image_augmentation.crop_box(64, 64, drawn, PAPER)
    assert 0 < top and 0 < left and top + height < 64
    config = dataclasses.replace(PAPER, image_size=32)
    first, second = np.empty((2, 32, 32, 3), np.uint8)
    image_augmentation.augment(image, drawn, config, first, WORKSPACE)
    part = image[top : top + height, left : left + width]
    whole = np.ascontiguousarray(part)
    plain = dataclasses.replace(
        config, crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0)
    )
    image_augmentation.augment(whole, drawn, plain, second, WORKSPACE)
    np.testing.assert_array_equal(first, second)


def test_rotation_by_a_quarter_turn():
    image = photograph(48, 48)
    turned = apply(image, dataclasses.replace(NOTHING, angle=math.pi / 2))
    expected = np.rot90(image).astype(int)
    assert abs(turned.astype(int) - expected)[1:-1, 1:-1].max() <= 1


def test_rotation_is_tensorflows():
    image = photograph(48, 48)
    turned = apply(image, dataclasses.replace(NOTHING, angle=0.5))
    cos, sin, m = math.cos(0.5), math.sin(0.5), 23.5
    matrix = [cos, -sin, m - cos * m + sin * m, sin, cos, m - sin * m - cos * m]
    expected = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=[[*matrix, 0.0, 0.0]],
        output_shape=[48, 48],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0].numpy()
    assert abs(turned - expected).max() <= 1.0
    assert (turned[0, 0] == 0).all()


@pytest.mark.parametrize("contrast_last", [True, False])
@pytest.mark.parametrize(
    ("brightness", "saturation", "hue", "contrast"),
    [
        (0.0, 1.0, 0.0, 1.0),
        (0.12, 1.5, 0.2, 1.5),
        (-0.12, 0.5, -0.2, 0.5),
        (-0.1, 1.4, -0.13, 1.3),
        (0.0, 0.0, 0.5, 1.0),
    ],
)
def test_colours_are_tensorflows(
    brightness, saturation, hue, contrast, contrast_last
):
    image = photograph(48, 48)
    change = ColourChange(brightness, saturation, hue, contrast, contrast_last)
    found = apply(image, dataclasses.replace(NOTHING, colour=change))
    pixels = tf.cast(image, tf.float32) / 255.0 + brightness
    if not contrast_last:
        pixels = tf.image.adjust_contrast(pixels, contrast)
    pixels = tf.image.adjust_saturation(pixels, saturation)
    pixels = tf.image.adjust_hue(pixels, hue)
    if contrast_last:
        pixels = tf.image.adjust_contrast(pixels, contrast)
    expected = tf.clip_by_value(pixels, 0.0, 1.0).numpy() * 255.0
    # Rounded once, and float32 in another order.
    assert abs(found - expected).max() <= 0.51


def test_broken_image_names_its_record():
    content = io.BytesIO()
    Image.fromarray(photograph()).save(content, "JPEG")
    files = np.array([content.getvalue(), content.getvalue()[:300]], object)
    names = np.array([b"coco/1", b"coco/2"], object)
    with pytest.raises(InputError, match="record coco/2.*300 bytes"):
        image_augmentation.augment_batch(files, names, 0, np.arange(2), PAPER)


def test_a_part_is_erased_and_nothing_else_changes():
    config = dataclasses.replace(PAPER, erase_probability=0.3)
    numbers = image_augmentation.draws(3, np.arange(COUNT))
    drawn = [image_augmentation.choose(row, config) for row in numbers]
    others = [image_augmentation.choose(row, PAPER) for row in numbers]
    assert [dataclasses.replace(d, erased=None) for d in drawn] == others
    erased = [d.erased for d in drawn if d.erased is not None]
    assert stats.binomtest(len(erased), COUNT, 0.3).pvalue > SURE
    boxes = np.array(
        [image_augmentation.erased_box(100, e, config) for e in erased]
    )
    top, left, rows, columns = boxes.T
    assert (rows >= 1).all() and (top + rows <= 100).all()
    assert (columns >= 1).all() and (left + columns <= 100).all()
    # Uniform from 2 to 33 % of the image, and as often wide as high.
    share = rows * columns / 10_000
    assert abs(share.mean() - 0.175) < 0.005
    assert 0.015 < share.min() and share.max() < 0.345
    assert stats.binomtest((rows > columns).sum(), len(rows)).pvalue > SURE


def test_what_is_erased_is_grey():
    image = photograph()
    whole = apply(image, NOTHING)
    erased = (0.5, 0.5, 0.25, 0.75)
    found = apply(image, dataclasses.replace(NOTHING, erased=erased))
    top, left, rows, columns = image_augmentation.erased_box(48, erased, PAPER)
    # The middle of 2 to 33 %, a square: 48 x 0.175^0.5.
    assert (rows, columns, top, left) == (20, 20, 7, 21)
    assert (found[7:27, 21:41] == 128).all()
    whole[7:27, 21:41] = 128
    np.testing.assert_array_equal(found, whole)
