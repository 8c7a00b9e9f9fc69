"""The pixels that a format is compared on, and that int8 is fitted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.record_index import count_records
from beam_jobs.files import tensorflow_files
from model.config import Config
from model.inputs import input_pipeline
from serving.formats.options import FormatOptions
from serving.saved_model.exportable import ExportableTagger

BATCH = 32
NOISE_IMAGES = 256
_GRAIN = 8  # noise comes in as many by as many squares, at the coarsest


class Batch(NamedTuple):
    """Some images.

    Attributes:
        images: float32 [N, S, S, 3] in [-1, 1], as they are resized.
        pixels: uint8 [N, S, S, 3], RGB: the same in whole numbers.
        positive: bool [N, classes]; None where there are no labels.
    """

    images: np.ndarray
    pixels: np.ndarray
    positive: np.ndarray | None


def describe(options: FormatOptions) -> str:
    """Returns which images are compared, for the certificate."""
    if options.dataset is None:
        return "images of noise, without labels: no data set was given"
    return f"{options.split} images of {options.dataset}"


def batches(
    tagger: ExportableTagger, options: FormatOptions
) -> Iterator[Batch]:
    """Yields what is compared: images of a data set, evenly, or noise.

    Raises:
        InputError: a damaged shard, or records without images.
    """
    if options.dataset is None:
        yield from _noise(tagger.image_size, min(options.images, NOISE_IMAGES))
    else:
        yield from _read(tagger, options.dataset, options.split, options.images)


def sample(tagger: ExportableTagger, options: FormatOptions) -> np.ndarray:
    """Returns training images, uint8 [N, S, S, 3]; N is 0 without a data set.

    Raises:
        InputError: as `batches`.
    """
    if options.dataset is None:
        side = tagger.image_size
        return np.zeros((0, side, side, 3), np.uint8)
    split = dataset_folder.TRAIN
    found = _read(tagger, options.dataset, split, options.sample)
    return np.concatenate([batch.pixels for batch in found])


def _read(
    tagger: ExportableTagger, dataset: str, split: str, most: int
) -> Iterator[Batch]:
    tensorflow_files.register(dataset)
    data = Config.from_json(tagger.config).data
    total = count_records(dataset, split)
    places = np.unique(np.linspace(0, total - 1, min(most, total)).astype(int))
    found = input_pipeline.make_eval_dataset(
        dataset,
        dataclasses.replace(data, unknown="negative"),
        classes=len(tagger.vocabulary),
        batch_size=BATCH,
        split=split,
        places=places,
    )
    with input_pipeline.as_input_errors(dataset):
        for images, targets in found.as_numpy_iterator():
            yield Batch(images, to_pixels(images), targets > 0)


def _noise(side: int, count: int) -> Iterator[Batch]:
    rng = np.random.default_rng(0)
    for start in range(0, count, BATCH):
        shape = (min(BATCH, count - start), _GRAIN, _GRAIN, 3)
        coarse = rng.integers(0, 256, shape, np.uint8)
        places = np.arange(side) * _GRAIN // side
        pixels = coarse[:, places][:, :, places]
        fine = rng.integers(-32, 33, pixels.shape)
        pixels = np.clip(pixels + fine, 0, 255).astype(np.uint8)
        images = pixels * np.float32(2.0 / 255.0) - np.float32(1.0)
        yield Batch(images, pixels, None)


def to_pixels(images: np.ndarray) -> np.ndarray:
    """Returns float32 pixels in [-1, 1] as uint8."""
    return np.rint((images + 1.0) * 127.5).astype(np.uint8)
