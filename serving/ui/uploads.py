"""What is accepted of the files that a browser sends, and its previews."""

from __future__ import annotations

import base64
import io
import math
import threading
from dataclasses import dataclass

from serving.api import contract

MOST_IMAGES = 24  # a tab
MOST_TAB_BYTES = 64 * 1024**2
MOST_BYTES = 256 * 1024**2  # all tabs
PREVIEW_PIXELS = 360
# With boxes or a mask over it.
SCENE_PIXELS = 720
# Unpacked to preview it; only a JPEG is unpacked at a smaller size at once.
_MOST_PIXELS = 50_000_000
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
_one_preview = threading.Lock()


class Refused(ValueError):
    """A file that is not sent to the server; the text says why."""


@dataclass
class Allowance:
    """Counts what is held; `parent` is what several share.

    Attributes:
        most_bytes, most_images: at most held.
    """

    most_bytes: int = MOST_TAB_BYTES
    most_images: int = MOST_IMAGES
    parent: Allowance | None = None
    held_bytes: int = 0
    held_images: int = 0

    def take(self, size: int) -> None:
        """Counts an image in.

        Raises:
            Refused: there is no room for it.
        """
        if self.held_images + 1 > self.most_images:
            raise Refused(
                f"there are {self.most_images} images here already; remove some"
            )
        if self.held_bytes + size > self.most_bytes:
            raise Refused(
                f"the images here would be over {as_size(self.most_bytes)}; "
                "remove some"
            )
        if self.parent:
            self.parent.take(size)
        self.held_bytes += size
        self.held_images += 1

    def give_back(self, size: int) -> None:
        """Counts an image out."""
        self.held_bytes -= size
        self.held_images -= 1
        if self.parent:
            self.parent.give_back(size)


def check_file(data: bytes) -> None:
    """Finds what no server would tag.

    Raises:
        Refused: empty, or too large.
    """
    if not data:
        raise Refused("the file is empty")
    if len(data) > contract.MAX_IMAGE_BYTES:
        raise Refused(too_large(len(data)))


def too_large(size: int) -> str:
    """Says that a file is over the limit of bytes."""
    most = as_size(contract.MAX_IMAGE_BYTES)
    # Rounded up: never the same as what is allowed.
    here = f"{math.ceil(size / 1024**2 * 10) / 10:.1f} MB".replace(".0 ", " ")
    return f"too large: {here}, and at most {most} are allowed"


def too_many_pixels(size: tuple[int, int] | None) -> str:
    """Says that an image is over the limit of pixels; empty if it is not.

    Args:
        size: height and width in pixels; None where nobody knows.
    """
    height, width = size or (0, 0)
    if height * width <= contract.MAX_IMAGE_PIXELS:
        return ""
    return (
        f"too large: {width:,} x {height:,} pixels, and at most "
        f"{contract.MAX_IMAGE_PIXELS / 1e6:.0f} million are allowed"
    )


def as_size(size: int) -> str:
    """Returns a number of bytes as people write it."""
    if size < 1024**2:
        return f"{max(1, round(size / 1024))} KB"
    return f"{size / 1024**2:.1f} MB".replace(".0 ", " ")


def image_size(data: bytes) -> tuple[int, int] | None:
    """Returns an image's height and width; None if Pillow cannot read them."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.height, image.width
    except Exception:  # as in `preview`
        return None


def preview(data: bytes, pixels: int = PREVIEW_PIXELS) -> str:
    """Returns a small JPEG as a data URL; empty if it cannot be drawn.

    Pillow reads the image, not the server: what it cannot read may still
    get tags, and the other way round.

    Args:
        pixels: of its longer side, at most.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                image.draft("RGB", (pixels, pixels))
            if image.width * image.height > _MOST_PIXELS:
                return ""
            with _one_preview:  # Several at once would add up their memory.
                image.thumbnail((pixels, pixels))
                small = image.convert("RGB")
    # Pillow raises many kinds for a broken file, SyntaxError among them.
    except Exception:
        return ""
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}"
