"""Masks to look at: over their image, with the names of their classes.

Colours are PASCAL VOC's, by id: the devkit's `VOClabelcolormap`, which its own
palette images have. Void has the devkit's cream.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from beam_jobs.images.regions import VOID

# Pixels.
_SIDE = 256
_MARGIN = 8
_FONT = 13
_LINE = 18
_TEXT = (40, 40, 40)
# Of the colour; the rest is the image.
_OPACITY = 0.6
_TITLES = ("image", "truth", "prediction")


def palette() -> np.ndarray:
    """Returns the colour of each id, uint8 [256, 3].

    Red, green and blue take the id's bits in turn, the lowest as their
    highest.

    Example:
        >>> palette()[[0, 1, 2, 3, 8, 255]].tolist()
        [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], \
[224, 224, 192]]
    """
    ids = np.arange(256)[:, None]
    colours = np.zeros((256, 3), np.int64)
    for place in range(3):
        bits = ids >> (3 * place + np.arange(3)) & 1
        colours |= bits << (7 - place)
    return colours.astype(np.uint8)


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the image with its mask's colours over it.

    The background stays as it is.

    Args:
        image: uint8 [height, width, 3].
        mask: uint8 [height, width]: ids, or 255 for void.

    Returns:
        uint8 [height, width, 3].
    """
    opacity = _OPACITY * (mask > 0)[..., None]
    mixed = image * (1 - opacity) + palette()[mask] * opacity
    return np.rint(mixed).astype(np.uint8)


def draw_mask(
    image: np.ndarray, mask: np.ndarray, names: Sequence[str]
) -> Image.Image:
    """Returns an image with its mask over it and a legend below.

    Args:
        image: uint8 [height, width, 3].
        mask: uint8 [height, width]: ids, or 255 for void.
        names: of the classes, without the background: id 1 first.
    """
    drawn = Image.fromarray(overlay(image, mask))
    return _stacked([drawn, _legend([mask], names, drawn.width)])


def draw_sheet(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    names: Sequence[str],
) -> Image.Image:
    """Returns one sheet: a row of image, truth and prediction for each.

    Args:
        images: uint8 [height, width, 3] each, of any size; at least one.
        truths, predictions: uint8 [height, width] each, of its image's size.
        names: of the classes, without the background: id 1 first.
    """
    width = 3 * (_SIDE + _MARGIN) + _MARGIN
    parts = [_titles(width)]
    for image, truth, found in zip(images, truths, predictions, strict=True):
        shown = [image, overlay(image, truth), overlay(image, found)]
        parts.append(_row([Image.fromarray(s) for s in shown], width))
        # Each row has its own: colours are told apart among a few only.
        parts.append(_legend([truth, found], names, width))
    return _stacked(parts)


def _titles(width: int) -> Image.Image:
    strip = Image.new("RGB", (width, _LINE + _MARGIN), "white")
    for place, title in enumerate(_TITLES):
        left = _MARGIN + place * (_SIDE + _MARGIN)
        _write(ImageDraw.Draw(strip), (left, _MARGIN), title)
    return strip


def _row(shown: Sequence[Image.Image], width: int) -> Image.Image:
    scale = _SIDE / max(shown[0].size)
    size = [max(round(side * scale), 1) for side in shown[0].size]
    row = Image.new("RGB", (width, size[1] + _MARGIN), "white")
    for place, one in enumerate(shown):
        left = _MARGIN + place * (_SIDE + _MARGIN)
        row.paste(one.resize((size[0], size[1])), (left, _MARGIN))
    return row


def _legend(
    masks: Sequence[np.ndarray], names: Sequence[str], width: int
) -> Image.Image:
    """Returns colours and names of what is in some masks, in lines."""
    font = ImageFont.load_default(_FONT)
    labels = {i + 1: name for i, name in enumerate(names)} | {VOID: "void"}
    ids = [i for i in np.unique(np.concatenate([m.ravel() for m in masks]))]
    places, left, top = [], _MARGIN, _MARGIN
    for i in (int(i) for i in ids if i in labels):
        needed = _LINE + round(font.getlength(labels[i])) + _MARGIN
        if left > _MARGIN and left + needed > width:
            left, top = _MARGIN, top + _LINE
        places.append((i, left, top))
        left += needed
    strip = Image.new("RGB", (width, top + _LINE + _MARGIN), "white")
    draw, colours = ImageDraw.Draw(strip), palette()
    for i, left, top in places:
        box = (left, top + 1, left + _FONT, top + 1 + _FONT)
        draw.rectangle(box, tuple(colours[i].tolist()), _TEXT)
        _write(draw, (left + _LINE, top), labels[i])
    return strip


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str):
    draw.text(place, text, fill=_TEXT, font=ImageFont.load_default(_FONT))


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    heights = [p.height for p in parts]
    sheet = Image.new("RGB", (parts[0].width, sum(heights)), "white")
    for place, part in enumerate(parts):
        sheet.paste(part, (0, sum(heights[:place])))
    return sheet
