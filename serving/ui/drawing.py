"""Boxes and masks as the page draws them: places, colours, a legend."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.api import contract
from serving.api.drawn import Box, Detection, Segment, Segmentation
from serving.ui.tag_tree import Choice
from serving.ui.uploads import SCENE_PIXELS

if TYPE_CHECKING:
    from PIL import Image

# Where a detector's boxes are shown from, until somebody moves the slider.
FIRST_THRESHOLD = 0.3
_LIGHTNESS = (38, 50, 62)  # percent


@dataclass(frozen=True)
class Entry:
    """A line of the legend.

    Attributes:
        name, wnid: of the class.
        value: score of a box, or share of the pixels.
        colour: as CSS writes it.
        place: left, top, width and height of a box, in percent of the image;
            None of a mask's class.
    """

    name: str
    wnid: str
    value: float
    colour: str
    place: tuple[float, float, float, float] | None = None


def to_drawn(
    answers: Mapping[str, Detection | Segmentation],
    size: tuple[int, int] | None,
    choice: Choice,
) -> dict[str, Any]:
    """Returns what `tag_answer.js` shows of the answers for one image: JSON.

    Args:
        answers: by the names of the versions that are compared.
        size: height and width of the image in pixels; None where it cannot be
            drawn.
        choice: see `entries_of`.
    """
    return {
        "first": FIRST_THRESHOLD,
        "wide": size and size[1] / size[0],
        "panels": [
            # Alone it needs no heading.
            _panel(title * (len(answers) > 1), answer, size, choice)
            for title, answer in answers.items()
        ],
    }


def _panel(
    title: str,
    answer: Detection | Segmentation,
    size: tuple[int, int] | None,
    choice: Choice,
) -> dict[str, Any]:
    entries = entries_of(answer, size, choice)
    boxes = isinstance(answer, Detection)
    return {
        "title": title,
        "boxes": boxes,
        "entries": [asdict(entry) for entry in entries],
        "mask": overlay(answer, entries),
        # Of boxes it is said where none is shown.
        "said": choice.nothing("box", bool(entries))
        if boxes
        else _covered(entries, choice),
    }


def entries_of(
    answer: Detection | Segmentation,
    size: tuple[int, int] | None,
    choice: Choice,
) -> list[Entry]:
    """Returns what is drawn of an answer, the best or largest first.

    Args:
        size: height and width of the image in pixels; None where nobody
            knows, and boxes have no place.
        choice: what is searched for. Boxes are of all thresholds.
    """
    if isinstance(answer, Detection):
        found = [_of_box(box, size) for box in answer.boxes]
    else:
        found = [_of_segment(segment) for segment in answer.segments]
    text = choice.search.strip().casefold()
    shown = [e for e in found if text in e.name.casefold() or text in e.wnid]
    return shown[: choice.most_rows]


def _of_box(box: Box, size: tuple[int, int] | None) -> Entry:
    place = None
    if size is not None:
        height, width = size
        place = (
            100 * box.xmin / width,
            100 * box.ymin / height,
            100 * (box.xmax - box.xmin) / width,
            100 * (box.ymax - box.ymin) / height,
        )
    return Entry(box.name, box.wnid, box.score, colour_of(box.wnid), place)


def _of_segment(segment: Segment) -> Entry:
    colour = colour_of(segment.wnid) if segment.id else "transparent"
    return Entry(segment.name, segment.wnid, segment.share, colour)


def colour_of(wnid: str) -> str:
    """Returns a class's colour, the same for all images and versions."""
    number = zlib.crc32(wnid.encode())
    lightness = _LIGHTNESS[number // 360 % len(_LIGHTNESS)]
    return f"hsl({number % 360}, 75%, {lightness}%)"


def small_mask(answer: Segmentation) -> Segmentation:
    """Returns the same with a mask no larger than it is drawn.

    Without one if it cannot be read.
    """
    from PIL import Image

    mask = b""
    try:
        with Image.open(io.BytesIO(answer.mask), formats=["PNG"]) as image:
            if image.width * image.height <= contract.MAX_IMAGE_PIXELS:
                # Of ids there is no mean: the nearest one.
                side = SCENE_PIXELS
                image.thumbnail((side, side), Image.Resampling.NEAREST)
                mask = _png(image.convert("L"))
    except Exception:  # Pillow raises many kinds for what is no PNG.
        pass
    return replace(answer, mask=mask)


def overlay(answer: Detection | Segmentation, shown: Sequence[Entry]) -> str:
    """Returns a mask's classes in their colours, a PNG as a data URL.

    Args:
        answer: as `small_mask` makes it.
        shown: the legend; other classes, and the background, are transparent.

    Returns:
        Empty without a mask.
    """
    from PIL import Image

    if not isinstance(answer, Segmentation) or not answer.mask:
        return ""
    ids = np.asarray(Image.open(io.BytesIO(answer.mask)))
    coloured = _png(Image.fromarray(_palette(answer, shown)[ids], "RGBA"))
    text = base64.b64encode(coloured).decode("ascii")
    return f"data:image/png;base64,{text}"


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _palette(answer: Segmentation, shown: Sequence[Entry]) -> np.ndarray:
    """Returns red, green, blue and opacity by id, uint8 [256, 4]."""
    from PIL import ImageColor

    colours = {entry.wnid: entry.colour for entry in shown}
    palette = np.zeros((256, 4), np.uint8)
    for segment in answer.segments:
        if segment.id and segment.wnid in colours:
            rgb = ImageColor.getrgb(colours[segment.wnid])[:3]
            palette[segment.id] = (*rgb, 255)
    return palette


def _covered(shown: Sequence[Entry], choice: Choice) -> str:
    """Returns how much of an image a mask's classes are, in words."""
    classes = [entry for entry in shown if entry.wnid]
    if not classes and choice.search.strip():
        return choice.nothing("class", False)
    covered = sum(entry.value for entry in classes)
    unit = "class" if len(classes) == 1 else "classes"
    return f"{len(classes)} {unit} on {covered:.0%} of the image"
