"""Batches of training: a replica's part of each, read, decoded, augmented."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import records
from beam_jobs.errors import InputError
from model.config import DataConfig, HeadConfig
from model.config_sections import TAGS
from model.inputs import image_augmentation, region_targets, targets
from model.inputs.epoch_reader import EpochReader

_IMAGE = (records.IMAGE_ENCODED, records.IMAGE_ID)


class Parts(NamedTuple):
    """A worker's parts of the batches, one a replica: counted from 0 on.

    Attributes:
        batch_size: images a step over all replicas.
        steps: of an epoch.
        context: which worker of how many.
    """

    batch_size: int
    steps: int
    context: tf.distribute.InputContext

    @property
    def a_step(self) -> int:
        """Returns the replicas of this worker."""
        context = self.context
        return context.num_replicas_in_sync // context.num_input_pipelines

    @property
    def size(self) -> int:
        """Returns the images of a replica's part."""
        return self.batch_size // self.context.num_replicas_in_sync

    def number(self, epoch: int, step: int) -> int:
        """Returns the number of the first part of a step."""
        return (epoch * self.steps + step) * self.a_step

    def places(self, number: int) -> tuple[int, np.ndarray]:
        """Returns the epoch of a part, and its places there, int64 [size]."""
        number, replica = divmod(number, self.a_step)
        epoch, step = divmod(number, self.steps)
        replica += self.context.input_pipeline_id * self.a_step
        first = step * self.batch_size + replica * self.size
        return epoch, np.arange(first, first + self.size)


def read(
    reader: EpochReader, parts: Parts, first: tuple[int, int], epochs: int
) -> tf.data.Dataset:
    """Returns (epoch, places, numbers, serialized records) of the parts.

    Args:
        first: epoch and step to begin with.
        epochs: the one to end before.
    """

    def read_part(number):
        epoch, places = parts.places(int(number))
        numbers, rows = reader.read(epoch, places)
        return np.int64(epoch), places, numbers, rows

    def shaped(number):
        epoch, *arrays = tf.numpy_function(
            read_part, [number], [tf.int64] * 3 + [tf.string]
        )
        arrays = [tf.ensure_shape(array, [parts.size]) for array in arrays]
        return tf.ensure_shape(epoch, []), *arrays

    numbers = tf.data.Dataset.range(
        parts.number(*first), parts.number(epochs, 0)
    )
    return numbers.map(shaped, num_parallel_calls=reader.calls(parts.size))


def decode(
    batches: tf.data.Dataset,
    reader: EpochReader,
    seed: int,
    config: DataConfig,
    classes: int,
    siblings: tf.RaggedTensor | None,
    cached: np.ndarray | None = None,
    head: HeadConfig | None = None,
) -> tf.data.Dataset:
    """Makes images and targets of what `read` returns.

    Args:
        head: whose task says which targets; by default tags.
        cached: features by the records' numbers, instead of images.
    """
    spec = targets.label_spec(config)

    def decode_part(epoch, places, numbers, rows):
        if cached is not None:
            images = _of_numbers(cached, numbers)
        else:
            images, rows = _augmented(
                reader, seed, config, epoch, places, numbers, rows
            )
        if head is not None and head.task != TAGS:
            drawn = tf.constant(key_of(seed), tf.int64) + epoch, places
            return images, *region_targets.of_records(
                tf.ensure_shape(rows, places.shape), config, head, drawn
            )
        features = tf.io.parse_example(rows, spec)
        dense = targets.dense_targets(features, classes, config, siblings)
        return images, tf.ensure_shape(dense, [*places.shape, classes])

    # Two at once, for the threads that finish a batch early.
    return batches.map(decode_part, num_parallel_calls=2)


def _of_numbers(cached: np.ndarray, numbers: tf.Tensor) -> tf.Tensor:
    found = tf.numpy_function(
        lambda chosen: np.asarray(cached[chosen]), [numbers], tf.float32
    )
    return tf.ensure_shape(found, [*numbers.shape, cached.shape[1]])


def _augmented(
    reader: EpochReader,
    seed: int,
    config: DataConfig,
    epoch,
    places,
    numbers,
    rows,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns uint8 [batch, size, size, 3], and the records [batch] of them.

    These are others where an image cannot be decoded.
    """
    key = key_of(seed)

    def work(epoch, places, numbers, encoded, names):
        others: dict[int, tuple[int, bytes]] = {}

        def another(i: int, error: InputError) -> tuple[bytes, bytes]:
            reader.skipped.add(int(epoch), int(places[i]), error)
            before = others.get(i, (int(numbers[i]), b""))
            others[i] = reader.after(before[0])
            return image_of(others[i][1])

        images = image_augmentation.augment_batch(
            encoded, names, key + int(epoch), places, config, another
        )
        changed = np.array([[i] for i in others], np.int64).reshape(-1, 1)
        instead = np.array([row for _, row in others.values()], object)
        return images, changed, instead

    features = tf.io.parse_example(rows, records.feature_spec(*_IMAGE))
    images, changed, instead = tf.numpy_function(
        work,
        [epoch, places, numbers, *(features[name] for name in _IMAGE)],
        [tf.uint8, tf.int64, tf.string],
    )
    size = config.image_size
    images = tf.ensure_shape(images, [*places.shape, size, size, 3])
    rows = tf.cond(
        tf.size(changed) > 0,
        lambda: tf.tensor_scatter_nd_update(rows, changed, instead),
        lambda: rows,
    )
    return images, rows


def key_of(seed: int) -> int:
    """Returns the key of a seed's first epoch, see `image_augmentation`."""
    # Epochs of one seed meet no epoch of another.
    return seed * 1_000_003


def image_of(row: bytes) -> tuple[bytes, bytes]:
    """Returns the image file of a record, and the id."""
    # The GPU is the training's.
    with tf.device("CPU"):
        spec = records.feature_spec(*_IMAGE)
        features = tf.io.parse_single_example(row, spec)
    encoded, name = (features[name].numpy() for name in _IMAGE)
    return encoded, name
