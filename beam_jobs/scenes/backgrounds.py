"""Backgrounds of scenes: two colours, mixed in one of several patterns."""

from __future__ import annotations

import colorsys
import functools

import numpy as np
from PIL import Image


def draw_background(rng: np.random.Generator, side: int) -> Image.Image:
    """Returns a random background, an RGB image of `side` x `side` pixels.

    The kinds are equally likely: one colour, a gradient, stripes, checks,
    clouds, grain, and ground below a sky.
    """
    pattern, contrast = _KINDS[rng.integers(len(_KINDS))]
    color = _color(rng)
    other = _color(rng) if contrast is None else _near(color, contrast, rng)
    share = np.clip(255 * pattern(rng, side), 0, 255).astype(np.uint8)
    size = (side, side)
    return Image.composite(
        Image.new("RGB", size, other),
        Image.new("RGB", size, color),
        Image.fromarray(share),
    )


def _color(rng: np.random.Generator) -> tuple[int, ...]:
    # The drawings have black outlines, which a dark background would hide.
    hue, saturation, value = rng.random(3).tolist()
    rgb = colorsys.hsv_to_rgb(hue, 0.05 + 0.55 * saturation, 0.6 + 0.4 * value)
    return tuple(round(255 * c) for c in rgb)


def _near(
    color: tuple[int, ...], contrast: int, rng: np.random.Generator
) -> tuple[int, ...]:
    steps = rng.integers(-contrast, contrast + 1, 3).tolist()
    return tuple(
        min(max(c + step, 100), 255)
        for c, step in zip(color, steps, strict=True)
    )


@functools.lru_cache(maxsize=4)
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return axis[None, :], axis[:, None]


def _slope(rng: np.random.Generator, side: int) -> np.ndarray:
    """Returns the position along a random direction, [side, side]."""
    x, y = _grid(side)
    angle = 2 * np.pi * rng.random()
    return np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y


# Each pattern returns the share of the second colour, float32 [side, side].


def _solid(rng: np.random.Generator, side: int) -> np.ndarray:
    return np.zeros((side, side), np.float32)


def _gradient(rng: np.random.Generator, side: int) -> np.ndarray:
    return _slope(rng, side) / np.float32(2.8) + np.float32(0.5)


def _stripes(rng: np.random.Generator, side: int) -> np.ndarray:
    wave = _slope(rng, side) * np.float32(rng.uniform(2, 7))
    width = np.float32(rng.uniform(0.3, 0.7))
    return (wave - np.floor(wave) < width).astype(np.float32)


def _checks(rng: np.random.Generator, side: int) -> np.ndarray:
    x, y = _grid(side)
    count = np.float32(rng.uniform(1.5, 4))
    column, row = np.floor(x * count), np.floor(y * count)
    return np.abs(column % 2 - row % 2)


def _clouds(rng: np.random.Generator, side: int) -> np.ndarray:
    cells = int(rng.integers(3, 9))
    coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _grain(rng: np.random.Generator, side: int) -> np.ndarray:
    return rng.random((side, side), dtype=np.float32)


def _ground_and_sky(rng: np.random.Generator, side: int) -> np.ndarray:
    _, y = _grid(side)
    ground = y > rng.uniform(-0.3, 0.6)
    return np.broadcast_to(ground, (side, side)).astype(np.float32)


# The pattern, and how far apart its colours are; None: any two colours.
_KINDS = (
    (_solid, 0),
    (_gradient, None),
    (_stripes, 60),
    (_checks, 60),
    (_clouds, 70),
    (_grain, 60),
    (_ground_and_sky, None),
)
