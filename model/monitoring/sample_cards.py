"""Images above their tags, and sheets of thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.monitoring.samples import Classes, pixels

# Pixels.
_SIDE = 224
_LINE = 17
_MARGIN = 8
_FONT = 13
# Lines of predicted tags, and of true ones.
_PREDICTED = 5
_TRUE = 3

_RIGHT, _WRONG, _PLAIN = (0, 110, 40), (185, 40, 30), (40, 40, 40)
_COLUMNS = 4


def tag_lines(
    targets: np.ndarray, scores: np.ndarray, classes: Classes
) -> list[tuple[str, tuple[int, int, int]]]:
    """Returns lines of text and their colours, as many for every image.

    The best-scored classes, green where they are labels of the image; the
    best-scored leaf; the most specific labels with their scores.

    Args:
        targets: [classes]; above 0 is a positive.
        scores: probabilities [classes].
    """

    def line(index: int) -> str:
        return f"{scores[index]:.2f} {classes.name(index)}"

    def colour(index: int) -> tuple[int, int, int]:
        return _RIGHT if targets[index] > 0 else _WRONG

    best = np.argsort(-scores, kind="stable")[:_PREDICTED]
    leaf = classes.best_leaf(scores)
    lines = [(line(i), colour(i)) for i in best]
    lines.append((f"leaf: {line(leaf)}", colour(leaf)))
    true = classes.most_specific(np.flatnonzero(targets > 0))
    lines += [(f"true: {line(i)}", _PLAIN) for i in true[:_TRUE]]
    more = len(true) - _TRUE
    if more > 0:
        lines[-1] = (f"true: {more + 1} more", _PLAIN)
    missing = _PREDICTED + 1 + _TRUE - len(lines)
    return lines + [("", _PLAIN)] * missing


def draw_cards(
    images: np.ndarray,
    targets: np.ndarray,
    scores: np.ndarray,
    classes: Classes,
) -> np.ndarray:
    """Returns one sheet, uint8 [height, width, 3]: images above their tags.

    Args:
        images: as the network sees them, at least one.
        targets, scores: [images or more, classes].
    """
    cards = [
        _card(image, tag_lines(targets[i], scores[i], classes))
        for i, image in enumerate(pixels(images))
    ]
    return tiled(cards, min(_COLUMNS, len(cards)), background=255)


def _card(image: np.ndarray, lines) -> np.ndarray:
    height = _SIDE + 2 * _MARGIN + _LINE * len(lines)
    card = Image.new("RGB", (_SIDE + 2 * _MARGIN, height), "white")
    resized = Image.fromarray(image).resize((_SIDE, _SIDE))
    card.paste(resized, (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(card)
    font = ImageFont.load_default(_FONT)
    for row, (text, colour) in enumerate(lines):
        place = (_MARGIN, _SIDE + _MARGIN + _LINE * row + 2)
        draw.text(place, text, fill=colour, font=font)
    return np.asarray(card)


def thumbnails(images: np.ndarray, side: int) -> list[np.ndarray]:
    """Returns uint8 [side, side, 3] of each network input."""
    return [
        np.asarray(Image.fromarray(image).resize((side, side)))
        for image in pixels(images)
    ]


def tiled(
    tiles: Sequence[np.ndarray], columns: int, background: int = 0
) -> np.ndarray:
    """Returns tiles of one size side by side, row by row.

    Args:
        tiles: uint8 [height, width, 3] each.
        columns: tiles a row.
        background: of places without a tile.
    """
    height, width, channels = tiles[0].shape
    rows = -(-len(tiles) // columns)
    shape = (rows, columns, height, width, channels)
    sheet = np.full(shape, background, np.uint8)
    for place, tile in enumerate(tiles):
        sheet[place // columns, place % columns] = tile
    sheet = sheet.transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, channels)
