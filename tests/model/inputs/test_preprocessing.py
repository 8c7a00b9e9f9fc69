"""Tests of model.inputs.preprocessing: decoding, geometry, scaling."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.inputs import preprocessing
from tests.helpers.images import encode


def ramps(width=24, height=16):
    """Red grows to the right, green downwards, blue is 40."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 250, height).astype(np.uint8)[:, None]
    return pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_every_format_becomes_rgb(kind):
    found = preprocessing.decode_and_resize(encode(ramps(), kind), 16)
    assert found.shape == (16, 16, 3)
    assert found.dtype == tf.float32
    expected = ramps()[:, 4:20] * (2 / 255) - 1
    assert abs(found.numpy() - expected).mean() < 0.05


def test_grayscale_becomes_three_channels():
    found = preprocessing.decode(encode(ramps()[..., 0], "JPEG"))
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
    found = preprocessing.decode_and_resize(encode(ramps()), 8, 0.5)
    expected = ramps()[4:12, 8:16] * (2 / 255) - 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_direct_and_tf_data_agree():
    content = [encode(ramps(w, 20), "JPEG") for w in (20, 31, 44)]

    def resize(encoded):
        return preprocessing.decode_and_resize(encoded, 16, 0.875)

    direct = np.stack([resize(c) for c in content])
    rows = tf.data.Dataset.from_tensor_slices(content).map(resize)
    unbatched = np.stack(list(rows.as_numpy_iterator()))
    batched = next(iter(rows.batch(3))).numpy()
    np.testing.assert_array_equal(direct, unbatched)
    np.testing.assert_array_equal(direct, batched)


def test_pixels_are_scaled_for_the_network():
    pixels = tf.constant([[[[0, 51, 255]]]], tf.uint8)
    found = preprocessing.network_input(pixels)
    np.testing.assert_allclose(found, [[[[-1.0, -0.6, 1.0]]]], atol=1e-6)
    # What is scaled already stays.
    again = preprocessing.network_input(found)
    np.testing.assert_array_equal(again, found)


def test_jpeg_is_decoded_accurately():
    # Pillow asks libjpeg for the accurate transform, its default.
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (33, 47, 3)).astype(np.uint8)
    encoded = encode(noise, "JPEG", quality=80)
    expected = np.asarray(Image.open(io.BytesIO(encoded)))
    found = preprocessing.decode(encoded)
    np.testing.assert_array_equal(found, expected)
