"""What a glance at an image file tells: its size, its light, its compression.

For every image of a busy server, so whatever is not cheap is left out: JPEGs
are decoded at an eighth of their size, in grey, and large or other files are
not decoded at all.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

_JPEG_START = b"\xff\xd8\xff"
# A progressive JPEG of few bytes may have many scans, each over all pixels.
_MOST_BYTES = 2 * 1024**2
_MOST_JPEG_PIXELS = 16_000_000
_MOST_OTHER_PIXELS = 1_000_000


@dataclass(frozen=True)
class Look:
    """What was seen of an image; None is what was not looked at.

    Attributes:
        bytes: of the file.
        height, width: in pixels, as the header says.
        brightness: mean of the grey values, 0 to 255.
        contrast: their standard deviation.
    """

    bytes: int
    height: int | None = None
    width: int | None = None
    brightness: float | None = None
    contrast: float | None = None


def quick_look(encoded: bytes) -> Look:
    """Returns what a glance at an image file tells; never fails.

    Of grey values Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), which a
    JPEG holds itself.

    Args:
        encoded: a file of any kind.
    """
    # Whatever a decoder thinks of an image, there are its bytes.
    try:
        if encoded[:3] == _JPEG_START:
            return _look_at_jpeg(encoded)
        return _look_at_other(encoded)
    except Exception:
        return Look(len(encoded))


def _look_at_jpeg(encoded: bytes) -> Look:
    height, width, *_ = simplejpeg.decode_jpeg_header(encoded)
    size = Look(len(encoded), height, width)
    if len(encoded) > _MOST_BYTES or height * width > _MOST_JPEG_PIXELS:
        return size
    # The least scale that there is, an eighth.
    least = {"min_height": 1, "min_width": 1, "min_factor": 1}
    try:
        grey = simplejpeg.decode_jpeg(encoded, "GRAY", True, True, **least)
    except ValueError:
        return size
    return _lit(size, grey)


def _look_at_other(encoded: bytes) -> Look:
    with Image.open(io.BytesIO(encoded)) as image:
        width, height = image.size
        size = Look(len(encoded), height, width)
        if height * width > _MOST_OTHER_PIXELS:
            return size
        try:
            return _lit(size, np.asarray(image.convert("L")))
        except Exception:
            return size


def _lit(size: Look, grey: np.ndarray) -> Look:
    values = grey.reshape(-1)
    # Whole numbers: half of what `mean` and `std` take for small images.
    count = np.bincount(values, minlength=256)
    mean = float(count @ _LEVELS) / values.size
    square = float(count @ _SQUARES) / values.size
    deviation = max(square - mean * mean, 0.0) ** 0.5
    return Look(
        size.bytes,
        size.height,
        size.width,
        round(mean, 3),
        round(deviation, 3),
    )


_LEVELS = np.arange(256)
_SQUARES = _LEVELS**2
