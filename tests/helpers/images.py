"""Image files made for tests; equal arguments give equal bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from beam_jobs.images.check_image import check_and_convert
from beam_jobs.images.options import ImageLimits


def encode(
    image: Image.Image | np.ndarray, form: str = "PNG", **options
) -> bytes:
    """Returns the file of an image, or of uint8 [height, width(, 3)]."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def noise_image(
    seed: int, size: tuple[int, int] = (48, 40), form: str = "JPEG"
) -> bytes:
    """Returns an image file of random pixels; size is (height, width)."""
    rng = np.random.default_rng(seed)
    return encode(rng.integers(0, 256, (*size, 3), dtype=np.uint8), form)


def convert(
    data: bytes,
    limits: ImageLimits,
    rotation: int = 0,
    short_side: int | None = None,
) -> bytes:
    """Returns the bytes that a data set holds of an image."""
    converted = check_and_convert(data, limits, rotation, short_side).converted
    return data if converted is None else converted
