"""`check_and_convert`: depths, transparency, inks and profiles."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from beam_jobs.images.options import ImageLimits
from tests.helpers.images import convert, encode

LIMITS = ImageLimits()


def converted(data: bytes, *args, limits=LIMITS) -> np.ndarray:
    image = Image.open(io.BytesIO(convert(data, limits, *args)))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return np.asarray(image).astype(int)


def difference(one, other) -> float:
    return float(np.abs(np.asarray(one).astype(int) - other).mean())


GRAY = np.linspace(0, 255, 64 * 32).reshape(32, 64)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (np.rint(GRAY * 257).astype(np.uint16), "PNG"),
        (np.rint(GRAY * 257).astype(np.uint16), "TIFF"),
        (np.rint(GRAY * 1e6).astype(np.int32), "TIFF"),
        ((GRAY / 255).astype(np.float32), "TIFF"),
        ((GRAY * 7 - 100).astype(np.float32), "TIFF"),
        (GRAY.astype(np.uint8), "PNG"),
    ],
)
def test_deep_grayscale_is_scaled_not_clipped(values, form):
    found = converted(encode(Image.fromarray(values), form))
    assert difference(found, GRAY[:, :, None]) < 2


def test_floats_within_0_to_1_are_not_stretched():
    half = Image.fromarray(np.full((16, 16), 0.5, np.float32))
    assert difference(converted(encode(half, "TIFF")), 128) < 2
    odd = Image.fromarray(np.full((16, 16), np.nan, np.float32))
    assert converted(encode(odd, "TIFF")).max() == 0


def test_one_bit_pictures():
    data = encode(Image.fromarray(GRAY > 128))
    assert difference(converted(data), (GRAY > 128)[..., None] * 255) < 4


def half_seen(mode: str) -> bytes:
    """Black; the right half is transparent."""
    alpha = Image.new("L", (16, 16), 255)
    alpha.paste(0, (8, 0, 16, 16))
    if mode == "P":
        image = Image.new("P", (16, 16))
        image.putpalette([0, 0, 0, 255, 0, 0])
        image.paste(1, (8, 0, 16, 16))
        return encode(image, transparency=1)
    if mode == "L":
        image = Image.new("L", (16, 16))
        image.paste(9, (8, 0, 16, 16))
        return encode(image, transparency=9)
    image = Image.new(mode[:-1], (16, 16))
    image.putalpha(alpha)
    return encode(image)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_every_kind_of_transparency_becomes_white(mode):
    found = converted(half_seen(mode))
    assert found[4, 3].max() < 40 and found[4, 12].min() > 215


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 0, 0), (255, 0, 255)),
        ((0, 0, 255, 0), (255, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 0), (255, 255, 255)),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_has_the_colours_of_its_inks(ink, colour, form):
    # Pillow writes JPEG with Adobe's marker, so inverted.
    data = encode(Image.new("CMYK", (32, 32), ink), form)
    assert b"Adobe" in data or form == "TIFF"
    assert difference(converted(data), np.array(colour)) < 4


def test_lab_is_converted():
    lab = Image.new("LAB", (16, 16), (255, 128, 128))
    assert difference(converted(encode(lab, "TIFF")), 255) < 4


def test_a_colour_profile_is_applied():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    red = Image.new("RGB", (16, 16), "red")
    # A profile of other pixels than these changes nothing.
    data = encode(red, icc_profile=lab.tobytes())
    assert difference(converted(data), (254, 0, 0)) < 3
    data = encode(red, icc_profile=srgb.tobytes())
    assert difference(converted(data), (254, 0, 0)) < 3
    data = encode(red, icc_profile=b"broken")
    assert difference(converted(data), (254, 0, 0)) < 3
    # Red and blue swapped: the primaries of sRGB's profile, exchanged.
    swapped = srgb.tobytes().replace(b"sRGB", b"none")
    swapped = swapped.replace(b"s\0R\0G\0B", b"n\0o\0n\0e")
    swapped = swapped.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ")
    swapped = swapped.replace(b"????", b"bXYZ")
    data = encode(red, icc_profile=swapped)
    assert difference(converted(data), (0, 0, 254)) < 3
