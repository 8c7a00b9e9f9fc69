"""Reads the records of a data set's shards, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from beam_jobs.dataset import records
from beam_jobs.errors import InputError

_NOT_LABELS = (
    records.IMAGE_ENCODED,
    records.IMAGE_HEIGHT,
    records.IMAGE_WIDTH,
)


_BATCH = 512
_PARSED = (
    records.IMAGE_ENCODED,
    records.IMAGE_ID,
    records.IMAGE_HEIGHT,
    records.IMAGE_WIDTH,
)


def check_pictures(shard: str) -> None:
    """Checks the first record of a shard for a picture.

    Raises:
        InputError: it has none.
    """
    for batch in read_batches(shard, batch_size=1):
        if not batch.parsed[records.IMAGE_ENCODED].numpy()[0]:
            raise _no_picture(shard, batch.image_ids[0])
        return


class Batch(NamedTuple):
    """Some records of a shard, in its order.

    Attributes:
        serialized: string tensor, the records.
        image_ids: theirs.
        parsed: by feature, see `records.feature_spec`.
    """

    serialized: Any
    image_ids: list[str]
    parsed: Mapping[str, Any]


def read_batches(
    shard: str, batch_size: int, pictures: bool = True
) -> Iterator[Batch]:
    """Yields the records of a shard in its order, with or without bytes."""
    import tensorflow as tf

    spec = records.feature_spec()
    if not pictures:
        spec = {k: v for k, v in spec.items() if k not in _NOT_LABELS}
    batches = tf.data.TFRecordDataset(shard).batch(batch_size).prefetch(1)
    for serialized in batches:
        parsed = tf.io.parse_example(serialized, spec)
        image_ids = parsed[records.IMAGE_ID].numpy().tolist()
        yield Batch(serialized, [i.decode() for i in image_ids], parsed)


def _no_picture(shard: str, image_id: str) -> InputError:
    return InputError(
        f"{shard}: {image_id} has no picture; to run a model, a data set with "
        "pictures is needed"
    )


def _read_batches(path: str) -> Iterator[dict[str, Any]]:
    import tensorflow as tf

    spec = records.feature_spec()
    for batch in tf.data.TFRecordDataset(path).batch(_BATCH):
        # Numpy forms of ragged tensors lose their row splits.
        yield {
            name: value.numpy() if name in _PARSED else _Ragged.of(value)
            for name, value in tf.io.parse_example(batch, spec).items()
        }


@dataclass(frozen=True)
class _Ragged:
    values: np.ndarray
    row_splits: np.ndarray

    @classmethod
    def of(cls, tensor) -> _Ragged:
        return cls(tensor.values.numpy(), tensor.row_splits.numpy())
