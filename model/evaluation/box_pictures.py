"""Images with boxes drawn into them: what is true beside what was found."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]

# Each next class' hue is as far from all before as can be: the golden angle.
_GOLDEN = 0.381966
_BLACK, _WHITE, _GREY = (0, 0, 0), (255, 255, 255), (235, 235, 235)
# Pixels.
_SIDE, _MARGIN, _CAPTION = 420, 8, 22
_TEXT = 15


@dataclass(frozen=True)
class Boxes:
    """Boxes of one image.

    Attributes:
        boxes: float [boxes, 4]: ymin, xmin, ymax, xmax, pixels.
        classes: int [boxes].
        scores: float [boxes], or None of true boxes.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray | None = None


def class_colour(index: int) -> Colour:
    """Returns the colour of a class, the same in every picture.

    Example:
        >>> class_colour(0)
        (255, 38, 38)
    """
    if index < 0:
        return _GREY
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[str],
    scores: np.ndarray | None,
    colours: Sequence[Colour],
) -> np.ndarray:
    """Returns the image with boxes and their labels, uint8 [height, width, 3].

    The text stands over its box, or in it where the image ends. What comes
    first lies on top: the best, if they are sorted.

    Args:
        image: uint8 [height, width, 3].
        boxes: float [boxes, 4]: ymin, xmin, ymax, xmax, pixels.
        labels: one a box.
        scores: float [boxes], written behind the labels, or None.
        colours: one a box.
    """
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT)
    texts = list(labels)
    if scores is not None:
        texts = [f"{t} {s:.2f}" for t, s in zip(texts, scores, strict=True)]
    rows = list(zip(boxes, texts, colours, strict=True))
    for (ymin, xmin, ymax, xmax), _, colour in reversed(rows):
        # An upside-down box, which Pillow refuses, is a point.
        corner = (max(xmin, xmax - 1), max(ymin, ymax - 1))
        pen.rectangle((xmin, ymin, *corner), outline=colour, width=3)
    # All texts over all boxes, or a later frame would cross one out.
    for (ymin, xmin, _, _), text, colour in reversed(rows):
        _write(pen, font, (xmin, ymin), text, colour, canvas.size)
    return np.asarray(canvas)


def _write(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    corner: tuple[float, float],
    text: str,
    colour: Colour,
    size: tuple[int, int],
) -> None:
    """Writes a label on its colour, within the image."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 6
    x = min(max(corner[0], 0), max(size[0] - width, 0))
    y = corner[1] - height if corner[1] >= height else max(corner[1], 0)
    y = min(y, max(size[1] - height, 0))
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    ink = _BLACK if np.dot(colour, (0.299, 0.587, 0.114)) > 140 else _WHITE
    pen.text((x + 3 - left, y + 3 - top), text, fill=ink, font=font)


def sheet(
    images: Sequence[np.ndarray],
    true: Sequence[Boxes],
    found: Sequence[Boxes],
    names: Sequence[str],
    columns: int = 2,
) -> np.ndarray:
    """Returns pairs of images, true boxes left and found ones right.

    Args:
        images: uint8 [height, width, 3] each, of any sizes.
        true, found: of each image. A class below 0 of a true box is an object
            to be ignored: it is grey.
        names: of the classes.
        columns: pairs in a row.

    Returns:
        uint8 [height, width, 3].

    Raises:
        ValueError: no images, or not as many of one as of the others.
    """
    if not images:
        raise ValueError("a sheet needs at least one image")
    cells = [
        _cell(image, boxes, names)
        for image, *both in zip(images, true, found, strict=True)
        for boxes in both
    ]
    wide = 2 * columns
    rows = [cells[i : i + wide] for i in range(0, len(cells), wide)]
    return np.concatenate([_row(row, wide) for row in rows])


def _row(cells: Sequence[np.ndarray], wide: int) -> np.ndarray:
    """Returns cells side by side, white where there are none."""
    height, side = max(len(cell) for cell in cells), cells[0].shape[1]
    row = np.full((height, side * wide, 3), 255, np.uint8)
    for place, cell in enumerate(cells):
        row[: len(cell), place * side : (place + 1) * side] = cell
    return row


def _cell(image: np.ndarray, found: Boxes, names: Sequence[str]) -> np.ndarray:
    """Returns one image with its boxes, as wide as all of the sheet."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = image.shape[:2]
    scale = _SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    resized = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    drawn = draw(
        np.asarray(resized),
        found.boxes * scale,
        [names[i] if i >= 0 else "ignored" for i in found.classes],
        found.scores,
        [class_colour(int(i)) for i in found.classes],
    )
    whole = (_SIDE + 2 * _MARGIN, size[1] + 2 * _MARGIN + _CAPTION)
    cell = Image.new("RGB", whole, _WHITE)
    caption = "true" if found.scores is None else "found"
    font = ImageFont.load_default(_TEXT)
    ImageDraw.Draw(cell).text((_MARGIN, _MARGIN - 3), caption, _BLACK, font)
    cell.paste(Image.fromarray(drawn), (_MARGIN, _MARGIN + _CAPTION))
    return np.asarray(cell)
