"""Decides what a scene shows and where: classes by theme, glyphs by chance.

Every scene has its own random generator, seeded by its number, so that
scenes can be drawn in any order and by any number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from beam_jobs.scenes.backgrounds import draw_background
from beam_jobs.scenes.catalogue import (
    SceneClass,
    classes_of_themes,
    load_catalogue,
)
from beam_jobs.scenes.drawing import Box, PlacedGlyph, draw_scene, glyph_image

MAX_OBJECTS = 5
# How likely 1, 2, ... objects are.
_COUNT_ODDS = (0.25, 0.27, 0.22, 0.15, 0.11)
# Smallest and largest size of an object (share of the side) in such a scene.
_SIZES = ((0.36, 0.9), (0.32, 0.54), (0.3, 0.46), (0.29, 0.4), (0.28, 0.36))
_SAME_THEME_ODDS = 0.85
_REPEAT_ODDS = 0.12
_MAX_ANGLE = 30.0
_TRIED_PLACES = 32
_MAX_LAYOUTS = 8
_ACCEPTED_OVERLAP = 0.1


@dataclass(frozen=True)
class Scene:
    """A drawn scene.

    Attributes:
        image: RGB, square.
        classes: the class of each object, from back to front.
        boxes: the box of each object.
        owners: whose each pixel is, see `draw_scene`.
    """

    image: Image.Image
    classes: tuple[SceneClass, ...]
    boxes: tuple[Box, ...]
    owners: Image.Image


def compose_scene(
    classes: Sequence[SceneClass], rng: np.random.Generator, side: int
) -> Scene:
    """Draws one object of each of 1 to 5 classes at random places.

    Args:
        classes: what to draw, from back to front; repeats are allowed.
        rng: decides glyph, size, angle, place and background.
        side: of the image, in pixels.
    """
    background = draw_background(rng, side)
    placed = place_glyphs(classes, rng)
    image, boxes, owners = draw_scene(background, placed)
    return Scene(image, tuple(classes), tuple(boxes), owners)


def choose_main_class(seed: Sequence[int], index: int) -> SceneClass:
    """Returns the main class of a numbered scene.

    Every run of as many scenes as there are classes has each class once.
    """
    catalogue = load_catalogue()
    round_number, position = divmod(index, len(catalogue))
    order = np.random.default_rng([*seed, round_number]).permutation(
        len(catalogue)
    )
    return catalogue[order[position]]


def choose_companions(
    main: SceneClass, rng: np.random.Generator
) -> list[SceneClass]:
    """Returns the classes of a scene around its main class, which is first.

    Most companions share a theme of the main class; some are any class, and
    now and then one is drawn twice.
    """
    count = 1 + int(rng.choice(MAX_OBJECTS, p=_COUNT_ODDS))
    theme = main.themes[rng.integers(len(main.themes))]
    chosen = [main]
    while len(chosen) < count:
        if rng.random() < _REPEAT_ODDS:
            chosen.append(chosen[rng.integers(len(chosen))])
        else:
            chosen.append(_companion(theme, chosen, rng))
    return chosen


def choose_absent(
    present: Sequence[SceneClass], rng: np.random.Generator, count: int = 3
) -> list[SceneClass]:
    """Returns classes that a scene does not show, though its theme might."""
    theme = present[0].themes[0]
    absent: list[SceneClass] = []
    while len(absent) < count:
        absent.append(_companion(theme, [*present, *absent], rng))
    return absent


def _companion(
    theme: str, excluded: Sequence[SceneClass], rng: np.random.Generator
) -> SceneClass:
    wnids = {c.wnid for c in excluded}
    pool = [c for c in classes_of_themes()[theme] if c.wnid not in wnids]
    if not pool or rng.random() >= _SAME_THEME_ODDS:
        pool = [c for c in load_catalogue() if c.wnid not in wnids]
    return pool[rng.integers(len(pool))]


def place_glyphs(
    classes: Sequence[SceneClass], rng: np.random.Generator
) -> list[PlacedGlyph]:
    """Returns one placed glyph a class, inside the image, hardly touching.

    Several layouts are tried; the first without much overlap is taken, or
    the one with the least.
    """
    best, least = _lay_out(classes, rng)
    for _ in range(_MAX_LAYOUTS - 1):
        if least <= _ACCEPTED_OVERLAP:
            break
        placed, overlap = _lay_out(classes, rng)
        if overlap < least:
            best, least = placed, overlap
    return best


def _lay_out(
    classes: Sequence[SceneClass], rng: np.random.Generator
) -> tuple[list[PlacedGlyph], float]:
    """Returns a layout, and the largest share of a box that others cover."""
    smallest, largest = _SIZES[len(classes) - 1]
    extents = np.zeros((0, 4))
    worst = 0.0
    placed = []
    for scene_class in classes:
        glyph = scene_class.glyphs[rng.integers(len(scene_class.glyphs))]
        angle = _MAX_ANGLE * (2 * rng.random() - 1)
        size = smallest + (largest - smallest) * rng.random()
        size, half = _shrink_to_fit(size, _half_extent(glyph, angle) * size)
        (x, y), share = _free_place(half, extents, rng)
        extent = (x - half[0], y - half[1], x + half[0], y + half[1])
        extents = np.vstack([extents, extent])
        worst = max(worst, share)
        mirrored = bool(rng.random() < 0.5)
        placed.append(PlacedGlyph(glyph, size, angle, mirrored, x, y))
    return placed, worst


def _half_extent(glyph: str, angle: float) -> np.ndarray:
    """Returns half the width and height of a turned glyph of size 1."""
    width, height = glyph_image(glyph).size
    cos = math.cos(math.radians(angle))
    sin = abs(math.sin(math.radians(angle)))
    turned = (width * cos + height * sin, width * sin + height * cos)
    return np.array(turned) / (2 * max(width, height))


def _shrink_to_fit(
    size: float, half: np.ndarray, limit: float = 0.48
) -> tuple[float, np.ndarray]:
    factor = min(1.0, limit / float(half.max()))
    return size * factor, half * factor


def _free_place(
    half: np.ndarray, taken: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """Returns the first of some random centres with the least overlap.

    Args:
        half: half the width and height to place.
        taken: the boxes already placed, [n, 4]: left, top, right, bottom.

    Returns:
        The centre, and the largest share that the new box and a taken one
        have in common, of the smaller of the two.
    """
    centers = half + (1 - 2 * half) * rng.random((_TRIED_PLACES, 2))
    if not len(taken):
        return (float(centers[0, 0]), float(centers[0, 1])), 0.0
    low, high = centers - half, centers + half
    # [places, taken, 2]: the overlap along each axis.
    overlap = np.minimum(high[:, None], taken[None, :, 2:]) - np.maximum(
        low[:, None], taken[None, :, :2]
    )
    common = overlap.clip(0).prod(axis=-1)
    areas = (taken[:, 2:] - taken[:, :2]).prod(axis=-1)
    share = (common / np.minimum(areas, 4 * half.prod())).max(axis=-1)
    best = int(share.argmin())
    return (float(centers[best, 0]), float(centers[best, 1])), float(
        share[best]
    )
