import io

import numpy as np
import pytest
from PIL import Image

from beam_jobs.annotations import Reason
from beam_jobs.images import ImageError, ImageLimits, check_image, convert_image

LIMITS = ImageLimits(max_bytes=200_000, max_pixels=10_000, min_side=8)


def picture(width=40, height=20, mode="RGB", form="JPEG", **options) -> bytes:
    ramp = np.linspace(0, 255, width * height * 3).astype(np.uint8)
    image = Image.fromarray(ramp.reshape(height, width, 3)).convert(mode)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def rotated_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_good_jpeg_stays_as_it_is():
    facts = check_image(picture(), LIMITS)
    assert (facts.width, facts.height, facts.as_is) == (40, 20, True)
    assert len(facts.sha256) == 64


def test_grayscale_jpeg_stays_as_it_is():
    assert check_image(picture(mode="L"), LIMITS).as_is


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("CMYK", "JPEG"),
        ("RGBA", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "WEBP"),
        ("RGB", "TIFF"),
    ],
)
def test_other_forms_become_rgb_jpeg(mode, form):
    data = picture(mode=mode, form=form)
    assert not check_image(data, LIMITS).as_is
    converted = Image.open(io.BytesIO(convert_image(data, LIMITS)))
    assert (converted.format, converted.mode) == ("JPEG", "RGB")
    assert converted.size == (40, 20)


def test_transparent_parts_become_white():
    out = io.BytesIO()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(out, "PNG")
    converted = Image.open(io.BytesIO(convert_image(out.getvalue(), LIMITS)))
    assert converted.getpixel((8, 8)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("orientation", "rotation", "size"),
    [
        (1, 90, (20, 40)),
        (6, 0, (20, 40)),
        (6, 90, (40, 20)),
        (3, 180, (40, 20)),
    ],
)
def test_orientation_and_rotation_are_applied(orientation, rotation, size):
    data = picture(exif=rotated_exif(orientation))
    facts = check_image(data, LIMITS, rotation)
    converted = Image.open(io.BytesIO(convert_image(data, LIMITS, rotation)))
    assert (facts.width, facts.height) == converted.size == size
    assert not facts.as_is


def test_rotation_is_counter_clockwise():
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (8, 0, 16, 16))
    out = io.BytesIO()
    image.save(out, "PNG")
    turned = Image.open(io.BytesIO(convert_image(out.getvalue(), LIMITS, 90)))
    # The right half of the picture becomes its upper half.
    assert turned.getpixel((4, 2))[0] > 200
    assert turned.getpixel((4, 13))[0] < 50


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"<html>404</html>", Reason.NOT_AN_IMAGE),
        (picture()[:-60], Reason.BROKEN_IMAGE),
        (picture(form="PNG")[:-30], Reason.BROKEN_IMAGE),
        (picture(101, 100), Reason.TOO_MANY_PIXELS),
        (picture(40, 7), Reason.TOO_SMALL),
        (b"\xff\xd8" + b"0" * 200_000, Reason.TOO_MANY_BYTES),
    ],
)
def test_rejects_with_the_reason(data, reason):
    with pytest.raises(ImageError) as caught:
        check_image(data, LIMITS)
    assert caught.value.reason == reason


def test_any_mutation_is_either_fine_or_an_image_error():
    random = np.random.default_rng(0)
    for data in (picture(), picture(form="PNG"), picture(form="GIF")):
        for _ in range(150):
            mutated = bytearray(data)
            for position in random.integers(0, len(data), 8):
                mutated[position] = random.integers(0, 256)
            try:
                check_image(bytes(mutated), LIMITS)
            except ImageError as error:
                assert error.reason in Reason
