import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from beam_jobs.images.check_image import (
    ImageError,
    check_and_convert,
    check_image,
)
from beam_jobs.images.near_duplicates import hash_thumbnails
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason
from tests.helpers.images import convert, encode

LIMITS = ImageLimits(max_bytes=200_000, max_pixels=10_000, min_side=8)
FORMS = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP")


def ramp_image(
    width=40, height=20, mode="RGB", form="JPEG", **options
) -> bytes:
    ramp = np.linspace(0, 255, width * height * 3).astype(np.uint8)
    image = Image.fromarray(ramp.reshape(height, width, 3)).convert(mode)
    return encode(image, form, **options)


def rotated_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_good_jpeg_stays_as_it_is():
    facts = check_image(ramp_image(), LIMITS)
    assert (facts.width, facts.height, facts.as_is) == (40, 20, True)
    assert len(facts.sha256) == 64


def test_grayscale_jpeg_stays_as_it_is():
    assert check_image(ramp_image(mode="L"), LIMITS).as_is


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
    data = ramp_image(mode=mode, form=form)
    assert not check_image(data, LIMITS).as_is
    converted = Image.open(io.BytesIO(convert(data, LIMITS)))
    assert (converted.format, converted.mode) == ("JPEG", "RGB")
    assert converted.size == (40, 20)


def test_transparent_parts_become_white():
    out = io.BytesIO()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(out, "PNG")
    converted = Image.open(io.BytesIO(convert(out.getvalue(), LIMITS)))
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
    data = ramp_image(exif=rotated_exif(orientation))
    facts = check_image(data, LIMITS, rotation)
    converted = Image.open(io.BytesIO(convert(data, LIMITS, rotation)))
    assert (facts.width, facts.height) == converted.size == size
    assert not facts.as_is


def test_rotation_is_counter_clockwise():
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (8, 0, 16, 16))
    out = io.BytesIO()
    image.save(out, "PNG")
    turned = Image.open(io.BytesIO(convert(out.getvalue(), LIMITS, 90)))
    # The right half of the picture becomes its upper half.
    assert turned.getpixel((4, 2))[0] > 200
    assert turned.getpixel((4, 13))[0] < 50


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"<html>404</html>", Reason.NOT_AN_IMAGE),
        (ramp_image()[:-60], Reason.BROKEN_IMAGE),
        (ramp_image(form="PNG")[:-30], Reason.BROKEN_IMAGE),
        (ramp_image(101, 100), Reason.TOO_MANY_PIXELS),
        (ramp_image(40, 7), Reason.TOO_SMALL),
        (b"\xff\xd8" + b"0" * 200_000, Reason.TOO_MANY_BYTES),
    ],
)
def test_rejects_with_the_reason(data, reason):
    with pytest.raises(ImageError) as caught:
        check_image(data, LIMITS)
    assert caught.value.reason == reason


def test_any_mutation_is_either_fine_or_an_image_error():
    random = np.random.default_rng(0)
    for data in [ramp_image(form=f) for f in FORMS]:
        for _ in range(150):
            mutated = bytearray(data)
            for position in random.integers(0, len(data), 8):
                mutated[position] = random.integers(0, 256)
            try:
                check_and_convert(bytes(mutated), LIMITS)
            except ImageError as error:
                assert error.reason in Reason


def upright() -> Image.Image:
    """Every quarter of another colour."""
    image = Image.new("RGB", (48, 32))
    for box, colour in (
        ((0, 0, 24, 16), "red"),
        ((24, 0, 48, 16), "lime"),
        ((0, 16, 24, 32), "blue"),
        ((24, 16, 48, 32), "white"),
    ):
        image.paste(colour, box)
    return image


def converted(data: bytes, *args, limits=LIMITS) -> np.ndarray:
    image = Image.open(io.BytesIO(convert(data, limits, *args)))
    # MPO is Pillow's name for a JPEG with further views.
    assert (image.format in ("JPEG", "MPO"), image.mode) == (True, "RGB")
    return np.asarray(image).astype(int)


def difference(one, other) -> float:
    return float(np.abs(np.asarray(one).astype(int) - other).mean())


# What a camera held in each of the eight ways stores of an upright picture.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_becomes_upright(orientation, form):
    pixels = np.ascontiguousarray(STORED[orientation](np.asarray(upright())))
    data = encode(Image.fromarray(pixels), form, exif=rotated_exif(orientation))
    facts = check_image(data, LIMITS)
    assert (facts.width, facts.height) == (48, 32)
    assert facts.as_is == (orientation == 1 and form == "JPEG")
    assert difference(converted(data), np.asarray(upright())) < 8


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotation_comes_on_top_of_orientation(orientation, rotation):
    pixels = np.ascontiguousarray(STORED[orientation](np.asarray(upright())))
    data = encode(Image.fromarray(pixels), exif=rotated_exif(orientation))
    expected = np.rot90(np.asarray(upright()), rotation // 90)
    assert difference(converted(data, rotation), expected) < 8


def test_refuses_other_rotations():
    with pytest.raises(ValueError, match="rotation"):
        check_image(ramp_image(), LIMITS, 45)


def test_one_decoding_gives_what_two_give():
    for data in (ramp_image(), ramp_image(form="PNG"), ramp_image(300, 20)):
        for short_side in (None, 10, 20, 30):
            facts, jpeg, *_ = check_and_convert(data, LIMITS, 0, short_side)
            assert facts == check_image(data, LIMITS, 0, short_side)
            whole = convert(data, LIMITS, 0, short_side)
            assert jpeg == (None if facts.as_is else whole)


@pytest.mark.parametrize(
    ("short_side", "size", "as_is"),
    [(None, (40, 20), True), (20, (40, 20), True), (10, (20, 10), False)],
)
def test_short_side_is_reduced_never_enlarged(short_side, size, as_is):
    facts = check_image(ramp_image(), LIMITS, 0, short_side)
    assert ((facts.width, facts.height), facts.as_is) == (size, as_is)
    assert converted(ramp_image(), 0, short_side).shape == (*size[::-1], 3)
    turned = check_image(ramp_image(), LIMITS, 90, short_side)
    assert (turned.height, turned.width) == size


def test_resize_keeps_the_picture():
    large = upright().resize((480, 320), Image.Resampling.NEAREST)
    limits = ImageLimits()
    found = converted(encode(large, "JPEG"), 0, 32, limits=limits)
    assert difference(found, np.asarray(upright())) < 8


def test_converted_bytes_hold_no_metadata():
    data = encode(
        upright(), "JPEG", comment=b"here", exif=rotated_exif(3), dpi=(9, 9)
    )
    image = Image.open(io.BytesIO(convert(data, LIMITS)))
    assert not {"comment", "exif", "icc_profile"} & image.info.keys()


def test_jpeg_with_a_profile_keeps_its_bytes():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = encode(upright(), "JPEG", icc_profile=srgb.tobytes())
    assert check_image(data, LIMITS).as_is


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 20}])
def test_jpeg_variants_stay_as_they_are(options):
    assert check_image(ramp_image(**options), LIMITS).as_is


def test_picture_of_several_views_counts_as_its_first():
    views = [Image.new("RGB", (16, 16), c) for c in ("red", "blue")]
    data = encode(views[0], "MPO", save_all=True, append_images=views[1:])
    assert check_image(data, LIMITS).as_is
    assert difference(converted(data), (254, 0, 0)) < 3


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_first_of_many_frames(form):
    frames = [Image.new("RGB", (48, 32), (i, 9, 9)) for i in range(200)]
    data = encode(
        upright(), form, save_all=True, append_images=frames, lossless=True
    )
    found = converted(data, limits=ImageLimits())
    assert difference(found, np.asarray(upright())) < 8


@pytest.mark.skipif(not features.check("avif"), reason="Pillow lacks AVIF")
def test_avif():
    data = encode(upright(), "AVIF", quality=95)
    assert difference(converted(data), np.asarray(upright())) < 8


def png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + checksum


@pytest.mark.parametrize(
    ("name", "start"), [(b"iCCP", b"p\0\0"), (b"zTXt", b"Comment\0\0")]
)
def test_metadata_that_unpacks_to_much_is_refused(name, start):
    data = ramp_image(form="PNG")
    bomb = png_chunk(name, start + zlib.compress(bytes(50_000_000), 9))
    with pytest.raises(ImageError) as caught:
        check_image(data[:33] + bomb + data[33:], LIMITS)
    assert caught.value.reason == Reason.BROKEN_IMAGE


def claims(width: int, height: int, form: str) -> bytes:
    """A small file whose header claims a large picture."""
    data = bytearray(ramp_image(form=form))
    if form == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif form == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("size", [(2000, 1000), (60_000, 60_000)])
@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
def test_size_is_checked_before_decoding(form, size):
    with pytest.raises(ImageError) as caught:
        check_image(claims(*size, form), LIMITS)
    assert caught.value.reason == Reason.TOO_MANY_PIXELS


def test_no_jpeg_is_that_long():
    data = encode(Image.new("1", (70_000, 8)))
    limits = ImageLimits(max_pixels=600_000)
    with pytest.raises(ImageError) as caught:
        check_image(data, limits)
    assert caught.value.reason == Reason.TOO_MANY_PIXELS
    assert check_image(data, limits, 0, 4).width == 35_000


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_any_cut_file_is_rejected(form):
    data = ramp_image(form=form)
    # Pillow forgives a missing end mark, so long as all pixels are there.
    for length in range(9, len(data) - 30, len(data) // 17):
        with pytest.raises(ImageError):
            check_image(data[:length], LIMITS)


def test_known_start_with_a_broken_header_is_a_broken_image():
    for data in (b"\x89PNG\r\n\x1a\n" + b"0" * 40, b"\xff\xd8\xff" + b"0" * 9):
        with pytest.raises(ImageError) as caught:
            check_image(data, LIMITS)
        assert caught.value.reason == Reason.BROKEN_IMAGE


def blobs() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    return Image.fromarray(noise).resize((90, 60), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_hash_is_that_of_the_upright_picture(orientation):
    expected = check_and_convert(encode(blobs()), LIMITS)
    pixels = np.ascontiguousarray(STORED[orientation](np.asarray(blobs())))
    exif = rotated_exif(orientation)
    data = encode(Image.fromarray(pixels), "JPEG", exif=exif)
    facts, _, small, *_ = check_and_convert(data, LIMITS)
    hashes = hash_thumbnails([small, expected.thumbnail]).tolist()
    assert (hashes[0] ^ hashes[1]).bit_count() <= 6
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
