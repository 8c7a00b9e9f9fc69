"""The validation split during a training, dealt to all replicas.

Every replica gets the same number of batches of one size: no worker waits
for another, XLA sees one shape, and several steps an execution come out even.
Images that only fill the last batches are earlier ones with the weight 0.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.record_index import count_records
from model.config import Config
from model.inputs import input_pipeline


def arguments(
    config: Config,
    dataset: str | os.PathLike[str],
    strategy: tf.distribute.Strategy,
    classes: int,
) -> dict[str, Any]:
    """Returns what Keras' `fit` wants for `schedule.validate_every`.

    Raises:
        InputError: no such split.
    """
    schedule = config.schedule
    if not schedule.validate_every:
        return {}
    data, steps = distributed(config, dataset, strategy, classes)
    epochs = range(1, schedule.epochs + 1)
    wanted = [e for e in epochs if e % schedule.validate_every == 0]
    return {
        "validation_data": data,
        "validation_steps": steps,
        "validation_freq": sorted({*wanted, schedule.epochs}),
    }


def distributed(
    config: Config,
    dataset: str | os.PathLike[str],
    strategy: tf.distribute.Strategy,
    classes: int,
) -> tuple[Any, int]:
    """Returns the split for `Tagger.evaluate` on all replicas, and its steps.

    Elements are float32 [batch, size, size, 3], int8 [batch, classes] (or what
    `region_targets` says) and weights float32 [batch], with at most the images
    that training puts through the network at once.

    Raises:
        InputError: no such split.
    """
    split = dataset_folder.VALIDATION
    images = count_records(dataset, split)
    replicas = strategy.num_replicas_in_sync
    schedule = config.schedule
    # No more memory than a step of the training takes.
    size = schedule.batch_size // schedule.accumulation_steps // replicas
    # Nor rows that only fill up, where the split is smaller than that.
    size = min(size, -(-images // replicas))
    steps = -(-images // (size * replicas))

    def make(context):
        def share(rows):
            # Repeated more than once where replicas outnumber the images.
            rows = rows.repeat().take(steps * size * replicas)
            return rows.shard(
                context.num_input_pipelines, context.input_pipeline_id
            )

        batches = input_pipeline.make_eval_dataset(
            dataset,
            config.data,
            classes=classes,
            batch_size=size,
            choose=share,
            head=config.head,
        )
        # Dealt as the images are: each place meets its image.
        places = share(tf.data.Dataset.range(steps * size * replicas))
        pairs = tf.data.Dataset.zip((batches, places.batch(size, True)))
        return pairs.map(lambda batch, place: _weighted(batch, place, images))

    return strategy.distribute_datasets_from_function(make), steps


def _weighted(batch, places, images):
    """Adds the weights; the batch size, static in `places`, to the rest."""
    size = places.shape[0]
    for part in batch:
        part.set_shape([size, *part.shape[1:]])
    return (*batch, tf.cast(places < images, tf.float32))
