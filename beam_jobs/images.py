"""Hostile image bytes -> checked JPEG bytes, or the reason why not."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

from beam_jobs.annotations import Reason

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_ORIENTATION_TAG = 0x0112
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted.

    Attributes:
        max_bytes: file size.
        max_pixels: width x height, checked before decoding.
        min_side: shorter side, pixels.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 64_000_000
    min_side: int = 8


@dataclass(frozen=True)
class ImageFacts:
    """What a check found.

    Attributes:
        sha256: of the file bytes, hex; equal for exact copies.
        height, width: pixels, upright.
        as_is: the bytes are an upright RGB or grayscale JPEG already.
    """

    sha256: str
    height: int
    width: int
    as_is: bool


class ImageError(ValueError):
    """An image that is rejected, with the reason.

    Attributes:
        reason: the class of the dead letter.
    """

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.reason = reason


def check_image(
    data: bytes, limits: ImageLimits, rotation: int = 0
) -> ImageFacts:
    """Checks an image by decoding it whole, within the limits.

    Args:
        data: the image file.
        limits: what is accepted.
        rotation: degrees to turn it counter-clockwise to be upright.

    Raises:
        ImageError: rejected.
    """
    image = _open(data, limits)
    _decode(image)
    orientation = _exif_orientation(image)
    width, height = image.size
    # EXIF orientations 5 to 8 lie on their side; turning twice is no turn.
    if (orientation >= 5) != (rotation in (90, 270)):
        width, height = height, width
    return ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        height=height,
        width=width,
        as_is=image.format == "JPEG"
        and image.mode in ("RGB", "L")
        and orientation == 1
        and rotation == 0,
    )


def to_jpeg(data: bytes, limits: ImageLimits, rotation: int = 0) -> bytes:
    """Returns the image as an upright RGB JPEG.

    Transparent parts become white.

    Raises:
        ImageError: rejected.
    """
    image = _open(data, limits)
    _decode(image)
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA", "P"):
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image)
    image = image.convert("RGB")
    if rotation:
        image = image.rotate(rotation, expand=True)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "0 bytes")
    if len(data) > limits.max_bytes:
        detail = f"{len(data)} bytes, allowed: {limits.max_bytes}"
        raise ImageError(Reason.TOO_MANY_BYTES, detail)
    try:
        with warnings.catch_warnings():
            # Sizes are checked below, against the job's own limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # any parser may fail on hostile bytes
        detail = f"starts with {data[:8]!r}"
        raise ImageError(Reason.NOT_AN_IMAGE, detail) from error
    width, height = image.size
    if width * height > limits.max_pixels:
        detail = f"{width}x{height} pixels, allowed: {limits.max_pixels}"
        raise ImageError(Reason.TOO_MANY_PIXELS, detail)
    if min(width, height) < limits.min_side:
        detail = f"{width}x{height} pixels, least side: {limits.min_side}"
        raise ImageError(Reason.TOO_SMALL, detail)
    return image


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # any decoder may fail on hostile bytes
        detail = f"{image.format}: {error}"
        raise ImageError(Reason.BROKEN_IMAGE, detail) from error


def _exif_orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block says nothing about the picture
        return 1
    return orientation if orientation in range(1, 9) else 1
