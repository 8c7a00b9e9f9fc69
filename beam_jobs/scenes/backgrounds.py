"""Backgrounds of scenes: arrays of uint8 [side, side, 3] RGB."""

from __future__ import annotations

import colorsys
import functools

import numpy as np
from PIL import Image


def draw_background(rng: np.random.Generator, side: int) -> Image.Image:
    """Returns a random background, an RGB image of `side` x `side` pixels.

    The kinds are equally likely: one colour, a gradient, stripes, clouds,
    grain, checks, and ground below a sky.
    """
    kind = _KINDS[rng.integers(len(_KINDS))]
    pixels = np.clip(kind(rng, side), 0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _color(rng: np.random.Generator) -> np.ndarray:
    # The pictures have black outlines, which a dark background would hide.
    hue, saturation, value = rng.uniform((0, 0.05, 0.6), (1, 0.6, 1))
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _similar(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(color + rng.uniform(-60, 60, 3), 110, 255)


@functools.lru_cache(maxsize=4)
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return axis[None, :], axis[:, None]


def _slope(rng: np.random.Generator, side: int) -> np.ndarray:
    """Returns the position along a random direction, [side, side]."""
    x, y = _grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    return np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mixes two colours by the share of the second, [side, side]."""
    share = share[..., None].astype(np.float32)
    return a.astype(np.float32) + (b - a).astype(np.float32) * share


def _solid(rng: np.random.Generator, side: int) -> np.ndarray:
    return np.broadcast_to(_color(rng), (side, side, 3))


def _gradient(rng: np.random.Generator, side: int) -> np.ndarray:
    share = np.clip(_slope(rng, side) / 2.8 + 0.5, 0, 1)
    return _mix(_color(rng), _color(rng), share)


def _stripes(rng: np.random.Generator, side: int) -> np.ndarray:
    color = _color(rng)
    wave = _slope(rng, side) * rng.uniform(2, 7)
    return _mix(color, _similar(color, rng), wave % 1 < rng.uniform(0.3, 0.7))


def _checks(rng: np.random.Generator, side: int) -> np.ndarray:
    color = _color(rng)
    x, y = _grid(side)
    count = np.float32(rng.uniform(1.5, 4))
    odd = (np.floor(x * count) + np.floor(y * count)) % 2
    return _mix(color, _similar(color, rng), odd)


def _clouds(rng: np.random.Generator, side: int) -> np.ndarray:
    cells = int(rng.integers(3, 9))
    coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    share = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
    color = _color(rng)
    return _mix(color, _similar(color, rng), np.clip(share, 0, 1))


def _grain(rng: np.random.Generator, side: int) -> np.ndarray:
    noise = rng.random((side, side, 1), dtype=np.float32) - 0.5
    return _color(rng).astype(np.float32) + noise * rng.uniform(20, 70)


def _ground_and_sky(rng: np.random.Generator, side: int) -> np.ndarray:
    _, y = _grid(side)
    sky, ground = _color(rng), _color(rng)
    horizon = rng.uniform(-0.3, 0.6)
    shade = np.broadcast_to(1 + 0.12 * y, (side, side))[..., None]
    below = np.broadcast_to(y > horizon, (side, side))
    return _mix(sky, ground, below) * shade


_KINDS = (
    _solid,
    _gradient,
    _stripes,
    _checks,
    _clouds,
    _grain,
    _ground_and_sky,
)
