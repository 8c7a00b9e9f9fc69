"""Tests of model.preprocessing: decoding, geometry, augmentation draws."""

import dataclasses
import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model import preprocessing
from model.config import DataConfig

PLAIN = DataConfig(
    image_size=16,
    crop_fraction=1.0,
    crop_area=(1.0, 1.0),
    crop_aspect=(1.0, 1.0),
    flip_probability=0.0,
    rotation_probability=0.0,
    colour_probability=0.0,
)


def picture(width=24, height=16):
    """Red grows to the right, green downwards, blue is 40."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 250, height).astype(np.uint8)[:, None]
    return pixels


def encode(pixels, kind="PNG", **options):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def augmented(count, config, pixels):
    """Returns `count` augmentations, float32 [count, size, size, 3]."""

    def one(index):
        key = tf.stack([tf.constant(3, tf.int64), index])
        return preprocessing.augment(tf.constant(pixels), key, config)

    images = tf.data.Dataset.range(count).map(one, 4).batch(count)
    return next(iter(images)).numpy()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_every_format_becomes_rgb(kind):
    found = preprocessing.decode_and_resize(encode(picture(), kind), 16)
    assert found.shape == (16, 16, 3)
    assert found.dtype == tf.float32
    expected = picture()[:, 4:20] * (2 / 255) - 1
    assert abs(found.numpy() - expected).mean() < 0.05


def test_grayscale_becomes_three_channels():
    found = preprocessing.decode(encode(picture()[..., 0], "JPEG"))
    assert found.shape == (16, 24, 3)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    found = preprocessing.decode(content.getvalue()).numpy()
    np.testing.assert_array_equal(found[0, 0], [255, 0, 0])


def test_range_is_minus_one_to_one():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    found = preprocessing.decode_and_resize(encode(pixels), 8).numpy()
    assert (found.min(), found.max()) == (-1.0, 1.0)


def test_central_crop_fraction():
    # Half of the short side 16: columns 8 to 15 and rows 4 to 11.
    found = preprocessing.decode_and_resize(encode(picture()), 8, 0.5)
    expected = picture()[4:12, 8:16] * (2 / 255) - 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_direct_and_tf_data_agree():
    content = [encode(picture(w, 20), "JPEG") for w in (20, 31, 44)]

    def resize(encoded):
        return preprocessing.decode_and_resize(encoded, 16, 0.875)

    direct = np.stack([resize(c) for c in content])
    rows = tf.data.Dataset.from_tensor_slices(content).map(resize)
    unbatched = np.stack(list(rows.as_numpy_iterator()))
    batched = next(iter(rows.batch(3))).numpy()
    np.testing.assert_array_equal(direct, unbatched)
    np.testing.assert_array_equal(direct, batched)


def test_no_augmentation_is_the_evaluation_transform():
    pixels = picture(16, 16)
    found = augmented(1, PLAIN, pixels)[0]
    expected = preprocessing.decode_and_resize(encode(pixels), 16)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equal_seeds_equal_images():
    config = dataclasses.replace(DataConfig(), image_size=16)
    first, second = (augmented(8, config, picture()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len({image.tobytes() for image in first}) == 8


def share_changed(**changes):
    """Returns the share of 2,000 augmentations that differ from none."""
    config = dataclasses.replace(PLAIN, **changes)
    plain = augmented(1, PLAIN, picture(16, 16))[0]
    images = augmented(2000, config, picture(16, 16))
    return (abs(images - plain).max(axis=(1, 2, 3)) > 1e-4).mean()


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"flip_probability": 0.5}, 0.5),
        ({"rotation_probability": 0.25}, 0.25),
        ({"colour_probability": 0.5}, 0.5),
    ],
)
def test_probabilities(changes, share):
    # Four standard deviations of a share of 2,000.
    spread = 4 * math.sqrt(share * (1 - share) / 2000)
    assert share_changed(**changes) == pytest.approx(share, abs=spread)


def test_draws_are_independent():
    config = dataclasses.replace(PLAIN, flip_probability=0.5)
    config = dataclasses.replace(config, colour_probability=0.5)
    pixels = picture(16, 16)
    images = augmented(2000, config, pixels)
    # Green grows downwards in every image, red to the right unless flipped.
    flipped = images[:, 8, 0, 0] > images[:, 8, -1, 0]
    restored = np.where(
        flipped[:, None, None, None], images[:, :, ::-1], images
    )
    plain = augmented(1, PLAIN, pixels)[0]
    coloured = abs(restored - plain).max(axis=(1, 2, 3)) > 1e-4
    assert (flipped & coloured).mean() == pytest.approx(0.25, abs=0.04)


def test_crop_area_and_aspect():
    config = dataclasses.replace(DataConfig(), crop_area=(0.5, 1.0))
    image = tf.zeros([120, 120, 1])

    def shape(index):
        draws = tf.random.stateless_uniform([34], [index, 5])
        boxes = tf.reshape(draws[2:], [16, 2])
        crop = preprocessing.random_crop(image, boxes, draws[:2], config)
        return tf.shape(crop)[:2]

    shapes = tf.data.Dataset.range(1000).map(shape).batch(1000)
    height, width = next(iter(shapes)).numpy().T.astype(float)
    area, aspect = height * width / 120**2, width / height
    assert 0.49 < area.min() < 0.51
    assert 0.95 < area.max() <= 1.0
    assert 0.74 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < 1.35
    assert np.log(aspect).mean() == pytest.approx(0.0, abs=0.03)


def test_rotation_by_a_quarter_turn():
    pixels = picture(16, 16).astype(np.float32)
    found = preprocessing.rotate(tf.constant(pixels), math.pi / 2)
    np.testing.assert_allclose(found, np.rot90(pixels), atol=0.1)


def test_rotation_fills_with_black():
    white = tf.fill([16, 16, 3], 255.0)
    found = preprocessing.rotate(white, math.pi / 4).numpy()
    np.testing.assert_array_equal(found[0, 0], [0, 0, 0])
    np.testing.assert_allclose(found[8, 8], [255] * 3, rtol=1e-5)
