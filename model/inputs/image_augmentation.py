"""Random crops, flips, turns and colours of training images, on the host.

The paper's augmentation (section 3.2), whole, from JPEG bytes to uint8
pixels, and random erasing, off by default; their scaling to [-1, 1] is the
network's own first step (`preprocessing.network_input`), so that a batch takes
a quarter of the memory and of the way to the device.

The draws depend on a key and a position alone, by a counter-based generator
(Philox): the key is its key, the position says where its counter stands.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from beam_jobs.errors import InputError
from model.config import DataConfig
from model.inputs import host_images
from model.inputs import image_kernels as kernels
from model.inputs.host_images import Workspace

# A crop of the wished area and aspect may not fit; further ones are drawn.
# One in three misses for the paper's ranges on a square: 16 never all do.
_CROP_ATTEMPTS = 16
# A count of the generator gives 4 numbers: an image has whole counts.
_DRAWS_A_COUNT = 4
_DRAWS = 12 + 2 * _CROP_ATTEMPTS
# Handing a task to a thread costs some of what an image does: a few together.
_IMAGES_A_TASK = 4
# The network sees it as 0.
_GREY = 128
_ERASED_LOG_ASPECT = (math.log(0.3), math.log(1 / 0.3))
_WORKSPACE = Workspace()


@dataclass(frozen=True)
class ColourChange:
    """A change of all colours; values are clipped at its end.

    Attributes:
        brightness: added first, to values of 0 to 1.
        saturation: factor, in HSV.
        hue: added, in turns of the colour circle.
        contrast: factor of the distances to each channel's mean.
        contrast_last: contrast comes after saturation and hue, or before.
    """

    brightness: float = 0.0
    saturation: float = 1.0
    hue: float = 0.0
    contrast: float = 1.0
    contrast_last: bool = True


@dataclass(frozen=True)
class Augmentation:
    """What is done to one image; all choices are independent of each other.

    Attributes:
        boxes: pairs of numbers in [0, 1): area and aspect of crops to try.
        place: two numbers in [0, 1): top and left of the crop.
        flip: whether left and right are swapped.
        angle: radians, anticlockwise; None for no rotation.
        colour: None for none.
        erased: four numbers in [0, 1): area, aspect, top and left of what is
            painted grey; None for nothing.
    """

    boxes: Sequence[tuple[float, float]]
    place: tuple[float, float]
    flip: bool
    angle: float | None
    colour: ColourChange | None
    erased: Sequence[float] | None = None


def draws(key: int, positions: np.ndarray) -> np.ndarray:
    """Returns the random numbers of some images.

    One generator for all: its counter leads to any image's numbers.

    Args:
        key: of the seed and the epoch.
        positions: int64 [images], in the epoch.

    Returns:
        float64 [images, draws] in [0, 1).
    """
    # The whole span is drawn: one call is faster than a loop over images.
    first, last = int(positions.min()), int(positions.max())
    words = np.array([key, 0], np.int64).view(np.uint64)
    counter = np.array([first * _DRAWS // _DRAWS_A_COUNT, 0, 0, 0], np.uint64)
    generator = np.random.Generator(
        np.random.Philox(counter=counter, key=words)
    )
    return generator.random((last - first + 1, _DRAWS))[positions - first]


def choose(row: np.ndarray, config: DataConfig) -> Augmentation:
    """Returns the augmentation of one image.

    Args:
        row: float64 [draws], the image's row of `draws`.
    """
    numbers = row.tolist()
    angle = None
    if numbers[3] < config.rotation_probability:
        angle = (2.0 * numbers[4] - 1.0) * math.radians(config.rotation_degrees)
    colour = None
    if numbers[5] < config.colour_probability:
        colour = ColourChange(
            brightness=(2.0 * numbers[6] - 1.0) * config.brightness,
            saturation=_between(numbers[7], config.saturation),
            hue=(2.0 * numbers[8] - 1.0) * config.hue,
            contrast=_between(numbers[9], config.contrast),
            contrast_last=numbers[10] < 0.5,
        )
    return Augmentation(
        # Draws have fixed places, so that one switch changes nothing else.
        boxes=list(zip(numbers[12::2], numbers[13::2], strict=True)),
        place=(numbers[0], numbers[1]),
        flip=numbers[2] < config.flip_probability,
        angle=angle,
        colour=colour,
        # The last attempts' numbers: no crop comes so far.
        erased=numbers[-4:] if numbers[11] < config.erase_probability else None,
    )


def crop_box(
    height: int, width: int, drawn: Augmentation, config: DataConfig
) -> tuple[int, int, int, int]:
    """Returns top, left, height and width of the first drawn box that fits.

    Its area is uniform over the wished range, and its aspect too, among those
    that fit; the whole image if none does (panoramas).
    """
    whole = (0, 0, height, width)
    if config.crop_area == (1.0, 1.0) and config.crop_aspect == (1.0, 1.0):
        return whole
    for area_draw, aspect_draw in drawn.boxes:
        area = _between(area_draw, config.crop_area) * height * width
        aspect = _between(aspect_draw, config.crop_aspect)
        rows = max(round(math.sqrt(area / aspect)), 1)
        columns = max(round(math.sqrt(area * aspect)), 1)
        if rows <= height and columns <= width:
            top = int(drawn.place[0] * (height - rows + 1))
            left = int(drawn.place[1] * (width - columns + 1))
            return top, left, rows, columns
    return whole


def augment(
    image: np.ndarray,
    drawn: Augmentation,
    config: DataConfig,
    out: np.ndarray,
    workspace: Workspace,
) -> None:
    """Crops, resizes, flips, rotates, recolours and erases, in this order.

    Args:
        image: uint8 [height, width, 3], contiguous.
        out: uint8 [image_size, image_size, 3], contiguous: the result.
    """
    box = crop_box(image.shape[0], image.shape[1], drawn, config)
    scratch = workspace.take(
        "resize", kernels.resize_scratch(box, out), np.uint8
    )
    kernels.resize(image, box, drawn.flip, out, scratch)
    if drawn.angle is not None:
        upright = workspace.take("rotate", out.size, np.uint8)
        upright = upright[: out.size].reshape(out.shape)
        # The rotation reads pixels that it has written over.
        upright[:] = out
        packed = workspace.take("packed", out.size // 3, np.uint64)
        kernels.rotate(upright, drawn.angle, out, packed)
    if drawn.colour is not None:
        planes = workspace.take("recolour", out.size, np.float32)
        kernels.recolour(
            out.reshape(-1, 3), *dataclasses.astuple(drawn.colour), planes
        )
    if drawn.erased is not None:
        top, left, rows, columns = erased_box(len(out), drawn.erased, config)
        out[top : top + rows, left : left + columns] = _GREY


def erased_box(
    side: int, erased: Sequence[float], config: DataConfig
) -> tuple[int, int, int, int]:
    """Returns top, left, height and width of what is painted grey."""
    area, aspect, top, left = erased
    part = _between(area, config.erase_area) * side * side
    # As often wide as high.
    ratio = math.exp(_between(aspect, _ERASED_LOG_ASPECT))
    rows = min(max(round(math.sqrt(part / ratio)), 1), side)
    columns = min(max(round(math.sqrt(part * ratio)), 1), side)
    return (
        int(top * (side - rows + 1)),
        int(left * (side - columns + 1)),
        rows,
        columns,
    )


def augment_batch(
    encoded: np.ndarray,
    names: np.ndarray,
    key: int,
    positions: np.ndarray,
    config: DataConfig,
    another: Callable[[int, InputError], tuple[bytes, bytes]] | None = None,
) -> np.ndarray:
    """Decodes and augments images, on all cores.

    Args:
        encoded: [batch], bytes of image files.
        names: [batch], bytes: ids of the records, for messages.
        key, positions: int and int64 [batch], see `draws`.
        another: is told which image cannot be decoded, and why; returns the
            file and the id to take instead, or raises. Called by threads.

    Returns:
        uint8 [batch, image_size, image_size, 3].

    Raises:
        InputError: an image cannot be decoded.
    """
    size = config.image_size
    drawn = draws(key, positions)
    # Threads write their rows of one array: numba leaves the interpreter.
    out = np.empty((len(encoded), size, size, 3), np.uint8)

    def work(start: int) -> None:
        for i in range(start, min(start + _IMAGES_A_TASK, len(out))):
            image = _decoded(encoded[i], names[i], i, another)
            chosen = choose(drawn[i], config)
            augment(image, chosen, config, out[i], _WORKSPACE)

    # The list is what raises a task's error.
    list(_threads().map(work, range(0, len(out), _IMAGES_A_TASK)))
    return out


def _decoded(encoded: bytes, name: bytes, place: int, another) -> np.ndarray:
    while True:
        try:
            return host_images.decode_record(encoded, name, _WORKSPACE)
        except InputError as error:
            if another is None:
                raise
            refusal = error
        encoded, name = another(place, refusal)


@functools.lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """Returns a thread a core; local workers share the cores out."""
    share = os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1
    return ThreadPoolExecutor(int(share), thread_name_prefix="augment")


def _between(draw: float, low_high: tuple[float, float]) -> float:
    low, high = low_high
    return low + draw * (high - low)
