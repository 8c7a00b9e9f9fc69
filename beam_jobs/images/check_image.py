"""Hostile image bytes -> facts and checked JPEG bytes, or the reason why not.

An image is decoded once, whole, within limits that are checked before. Good
JPEG files keep their bytes. Everything else becomes an upright RGB JPEG:

- quality 95, chroma 4:2:0, no metadata; resized by a bicubic filter;
- of several frames, the first;
- transparent parts become white;
- 16-bit values lose their low byte; 32-bit integers and floats, which have
  no agreed white, are stretched from least to most, except that floats within
  0 to 1 count as they are;
- an embedded colour profile is applied and dropped. A JPEG that stays as it
  is keeps its profile, which decoders of training and serving ignore.
"""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, features
from PIL.JpegImagePlugin import JpegImageFile

from beam_jobs.images.near_duplicates import thumbnail
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason

_JPEG_START = b"\xff\xd8\xff"
_JPEG_QUALITY = 95
_JPEG_MAX_SIDE = 65_500  # of libjpeg
_ORIENTATION_TAG = 0x0112
# Infos of Pillow that an orientation may be found in.
_WITH_ORIENTATION = frozenset({"exif", "xmp", "Raw profile type exif"})
_ROTATIONS = {
    0: (),
    90: (Image.Transpose.ROTATE_90,),
    180: (Image.Transpose.ROTATE_180,),
    270: (Image.Transpose.ROTATE_270,),
}
# What makes an image of an EXIF orientation upright.
_ORIENTATIONS = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_SIDEWAYS = frozenset(
    {
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
    }
)

# Sizes are checked below, against the job's own limits, and odd metadata of
# millions of files is no news. Filters are set once: threads share them.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class ImageFacts:
    """What a check found.

    Attributes:
        sha256: of the file bytes, hex; equal for exact copies.
        height, width: pixels, upright, after any resize.
        as_is: the bytes can be written unchanged: an RGB or grayscale JPEG
            that is upright and needs no resize.
    """

    sha256: str
    height: int
    width: int
    as_is: bool


class CheckedImage(NamedTuple):
    """A good image.

    Attributes:
        facts: see there.
        converted: JPEG bytes to write; None where the file is good as is.
        thumbnail: pixels, for `near_duplicates.hash_thumbnails`.
        upright: width and height, upright, before any resize.
        turned: the file does not hold it upright.
    """

    facts: ImageFacts
    converted: bytes | None
    thumbnail: bytes
    upright: tuple[int, int]
    turned: bool


class ImageError(ValueError):
    """An image that is rejected, with the reason.

    Attributes:
        reason: the class of the dead letter.
    """

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class _Decoded:
    """A decoded RGB or L image, the turns that are due, the upright size."""

    image: Image.Image
    turns: tuple[Image.Transpose, ...]
    size: tuple[int, int]
    as_is: bool


def check_image(
    data: bytes,
    limits: ImageLimits,
    rotation: int = 0,
    short_side: int | None = None,
) -> ImageFacts:
    """Checks an image by decoding it whole, within the limits.

    Args:
        data: the image file.
        limits: what is accepted.
        rotation: degrees to turn it counter-clockwise to be upright: 0, 90,
            180 or 270; comes on top of an EXIF orientation.
        short_side: pixels that a longer short side is reduced to.

    Raises:
        ImageError: rejected.
    """
    return _facts(data, _decode(data, limits, rotation, short_side))


def check_and_convert(
    data: bytes,
    limits: ImageLimits,
    rotation: int = 0,
    short_side: int | None = None,
) -> CheckedImage:
    """`check_image`, and of the same decoding an upright RGB JPEG."""
    decoded = _decode(data, limits, rotation, short_side)
    converted = None if decoded.as_is else _encode(decoded)
    small = _turn(thumbnail(decoded.image), decoded.turns)
    return CheckedImage(
        _facts(data, decoded),
        converted,
        small.tobytes(),
        _upright(decoded.image.size, decoded.turns),
        bool(decoded.turns),
    )


def _upright(
    size: tuple[int, int], turns: tuple[Image.Transpose, ...]
) -> tuple[int, int]:
    # Turning twice is no turn.
    sideways = sum(turn in _SIDEWAYS for turn in turns) % 2
    return (size[1], size[0]) if sideways else size


def _decode(
    data: bytes, limits: ImageLimits, rotation: int, short_side: int | None
) -> _Decoded:
    if rotation not in _ROTATIONS:
        raise ValueError(f"rotation must be in {list(_ROTATIONS)}: {rotation}")
    image = _open(data, limits)
    try:
        image.load()
        turns = _ORIENTATIONS[_orientation(image)] + _ROTATIONS[rotation]
        good = image.format == "JPEG" and image.mode in ("RGB", "L")
        decoded = image if good else _to_rgb(image)
    except Exception as error:  # any decoder may fail on hostile bytes
        detail = f"{image.format}: {error}"
        raise ImageError(Reason.BROKEN_IMAGE, detail) from error
    size = _reduced_size(image.size, short_side)
    as_is = good and not turns and size == image.size
    if not as_is and max(size) > _JPEG_MAX_SIDE:
        detail = f"{size[0]}x{size[1]} pixels, allowed: {_JPEG_MAX_SIDE} a side"
        raise ImageError(Reason.TOO_MANY_PIXELS, detail)
    return _Decoded(decoded, turns, size, as_is)


def _facts(data: bytes, decoded: _Decoded) -> ImageFacts:
    width, height = _upright(decoded.size, decoded.turns)
    return ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        height=height,
        width=width,
        as_is=decoded.as_is,
    )


def _encode(decoded: _Decoded) -> bytes:
    image = decoded.image.convert("RGB")
    if decoded.size != image.size:
        # Up to a gap of 3, no difference can be seen, says Pillow.
        image = image.resize(
            decoded.size, Image.Resampling.BICUBIC, reducing_gap=3.0
        )
    image = _turn(image, decoded.turns)
    image.info.clear()  # Pillow would write a comment that it finds there.
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling="4:2:0")
    return out.getvalue()


def _turn(
    image: Image.Image, turns: tuple[Image.Transpose, ...]
) -> Image.Image:
    for turn in turns:
        image = image.transpose(turn)
    return image


def _reduced_size(
    size: tuple[int, int], short_side: int | None
) -> tuple[int, int]:
    short = min(size)
    if short_side is None or short <= short_side:
        return size
    width, height = (max(1, round(s * short_side / short)) for s in size)
    return width, height


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "0 bytes")
    if len(data) > limits.max_bytes:
        detail = f"{len(data)} bytes, allowed: {limits.max_bytes}"
        raise ImageError(Reason.TOO_MANY_BYTES, detail)
    image = _parse(data)
    width, height = image.size
    if width * height > limits.max_pixels:
        detail = f"{width}x{height} pixels, allowed: {limits.max_pixels}"
        raise ImageError(Reason.TOO_MANY_PIXELS, detail)
    if min(width, height) < limits.min_side:
        detail = f"{width}x{height} pixels, least side: {limits.min_side}"
        raise ImageError(Reason.TOO_SMALL, detail)
    return image


def _parse(data: bytes) -> Image.Image:
    """Reads the header."""
    try:
        # Not by Image.open, which tells images of several views (MPO) from
        # JPEG: the first of them is one.
        if data.startswith(_JPEG_START):
            return JpegImageFile(io.BytesIO(data))
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # any parser may fail on hostile bytes
        if _starts_like_an_image(data):
            detail = f"broken header: {error}"
            raise ImageError(Reason.BROKEN_IMAGE, detail) from error
        if data[4:8] == b"ftyp" and data[8:12] in _NOT_READ:
            detail = f"{_NOT_READ[data[8:12]]} image: convert it to JPEG"
            raise ImageError(Reason.UNSUPPORTED_IMAGE, detail) from error
        detail = f"starts with {data[:8]!r}"
        raise ImageError(Reason.NOT_AN_IMAGE, detail) from error


# Brands of https://mp4ra.org/registered-types/brands
_NOT_READ = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"hevc", b"mif1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


def _starts_like_an_image(data: bytes) -> bool:
    starts = (Image.OPEN[name][1] for name in _formats())
    return any(start and start(data[:16]) is True for start in starts)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    formats = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
    return formats + (("AVIF",) if features.check("avif") else ())


def _orientation(image: Image.Image) -> int:
    if not _WITH_ORIENTATION & image.info.keys():
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block says nothing about the image
        return 1
    return orientation if orientation in _ORIENTATIONS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image)
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    return _apply_profile(image, profile).convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    # Nearly all profiles are of sRGB itself: named in ASCII or in UTF-16.
    if not profile or b"sRGB" in profile or b"s\0R\0G\0B" in profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(  # type: ignore[return-value]
            image, source, _srgb(), outputMode="RGB"
        )
    except Exception:  # broken, or of another colour space than the pixels
        return image


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (values - low) * (255 / (high - low) if high > low else 0.0)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
