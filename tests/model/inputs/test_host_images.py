"""Tests of model.inputs.host_images: the pixels of TensorFlow's decoder."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.inputs import host_images, preprocessing
from tests.helpers.images import encode

WORKSPACE = host_images.Workspace()


def photograph(seed=0, height=61, width=83):
    """Coarse shapes and fine grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3)).astype(np.uint8))
    grain = rng.normal(0, 20, (height, width, 3))
    pixels = np.asarray(coarse.resize((width, height))) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def sideways():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(photograph(), "JPEG", exif=exif)


FILES = {
    "4:2:0": encode(photograph(), "JPEG", subsampling="4:2:0"),
    "4:2:2": encode(photograph(), "JPEG", subsampling="4:2:2"),
    "4:4:4": encode(photograph(), "JPEG", subsampling="4:4:4", quality=100),
    "progressive": encode(photograph(), "JPEG", progressive=True),
    "grayscale": encode(photograph().convert("L"), "JPEG"),
    "CMYK": encode(photograph().convert("CMYK"), "JPEG"),
    "RGB": encode(photograph(), "JPEG", keep_rgb=True),
    "turned by its EXIF": sideways(),
    "one pixel": encode(photograph(0, 1, 1), "JPEG"),
    "PNG": encode(photograph(), "PNG"),
    "PNG with alpha": encode(photograph().convert("RGBA"), "PNG"),
    "GIF": encode(photograph(), "GIF"),
    "BMP": encode(photograph(), "BMP"),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_of_tensorflow(name):
    found = host_images.decode(FILES[name], WORKSPACE)
    expected = preprocessing.decode(FILES[name]).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_larger_and_smaller_images_share_the_memory():
    for height in (40, 90, 20):
        encoded = encode(photograph(height, height, 50), "JPEG")
        found = host_images.decode(encoded, WORKSPACE)
        np.testing.assert_array_equal(found, preprocessing.decode(encoded))


def test_damaged_files_are_taken_and_refused_as_by_tensorflow():
    rng = np.random.default_rng(0)
    whole = encode(photograph(), "JPEG")
    verdicts = []
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 0xFF
        damaged = bytes(
            damaged[: rng.integers(len(whole) // 2, 2 * len(whole))]
        )
        try:
            expected = preprocessing.decode(damaged).numpy()
        except tf.errors.OpError:
            with pytest.raises(ValueError):
                host_images.decode(damaged, WORKSPACE)
        else:
            found = host_images.decode(damaged, WORKSPACE)
            np.testing.assert_array_equal(found, expected)
        verdicts.append("expected" in locals())
    assert any(verdicts)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"no image"])
def test_no_image_is_refused(content):
    with pytest.raises(ValueError):
        host_images.decode(content, WORKSPACE)
