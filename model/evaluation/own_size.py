"""Held-out images of their own size, to judge boxes and masks by."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import dataset_folder, read_records, records
from model.inputs import host_images, preprocessing
from model.network.task_model import TaskModel

_BATCH = 16


class Seen(NamedTuple):
    """One image.

    Attributes:
        name: id of its record.
        pixels: uint8 [height, width, 3], as it lies there.
        record: its features by name; lists are arrays.
        outputs: what the model says of it, arrays without the batch.
    """

    name: str
    pixels: np.ndarray
    record: dict[str, Any]
    outputs: Any


def judged(
    model: TaskModel,
    run: Any,
    dataset: str | os.PathLike[str],
    split: str,
    places: Collection[int],
) -> Iterator[Seen]:
    """Yields the images of a split with a model's outputs.

    Args:
        model: whose config says what it sees.
        run: float32 images [batch, size, size, 3] -> tensors [batch, ...].
        places: of the records to judge, among those of the split.

    Raises:
        InputError: no such split, or a damaged record.
    """
    data = model.config.data
    compiled = tf.function(run, reduce_retracing=True)
    chosen, place = frozenset(map(int, places)), itertools.count()
    for shard in dataset_folder.shard_paths(dataset, split):
        for batch in read_records.read_batches(shard, _BATCH):
            rows = [
                {name: value[i].numpy() for name, value in batch.parsed.items()}
                for i in range(len(batch.image_ids))
            ]
            pixels = [
                host_images.decode_record(
                    row[records.IMAGE_ENCODED], name.encode()
                )
                for row, name in zip(rows, batch.image_ids, strict=True)
            ]
            images = [
                preprocessing.crop_and_resize(
                    tf.constant(p),
                    data.image_size,
                    data.crop_fraction,
                    data.framing,
                )
                for p in pixels
            ]
            outputs = compiled(tf.stack(images))
            for i, name in enumerate(batch.image_ids):
                mine = tf.nest.map_structure(lambda t, i=i: t[i], outputs)
                if next(place) in chosen:
                    yield Seen(name, pixels[i], rows[i], mine)
