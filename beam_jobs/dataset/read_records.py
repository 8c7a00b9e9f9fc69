"""Reads the records of a data set's shards, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from beam_jobs.dataset import damage, records
from beam_jobs.errors import InputError

_NOT_LABELS = (
    records.IMAGE_ENCODED,
    records.IMAGE_HEIGHT,
    records.IMAGE_WIDTH,
    records.IMAGE_MASK,
    *records.ORIGIN,
)


def check_has_images(shard: str) -> None:
    """Checks the first record of a shard for an image.

    Raises:
        InputError: it has none.
    """
    for batch in read_batches(shard, batch_size=1):
        if not batch.parsed[records.IMAGE_ENCODED].numpy()[0]:
            raise no_image_error(shard, batch.image_ids[0])
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
    shard: str, batch_size: int, images: bool = True
) -> Iterator[Batch]:
    """Yields the records of a shard in its order, with or without bytes.

    Raises:
        InputError: it is damaged, or holds other records than a data set's.
    """
    import tensorflow as tf

    spec = records.feature_spec()
    if not images:
        spec = {k: v for k, v in spec.items() if k not in _NOT_LABELS}
    batches = tf.data.TFRecordDataset(shard).batch(batch_size).prefetch(1)
    try:
        for serialized in batches:
            parsed = tf.io.parse_example(serialized, spec)
            image_ids = parsed[records.IMAGE_ID].numpy().tolist()
            yield Batch(serialized, [i.decode() for i in image_ids], parsed)
    except tf.errors.DataLossError as error:
        raise InputError(damage.describe(shard, str(error.message))) from error
    # TensorFlow's words hold the record, whose bytes may be no text.
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        raise InputError(
            f"{shard} holds records that are not those of a data set of "
            "`tagforest dataset`; copy the data set anew, as a whole"
        ) from error


def no_image_error(shard: str, image_id: str) -> InputError:
    return InputError(
        f"{shard}: {image_id} has no image; to run a model, a data set with "
        "images is needed"
    )


@dataclass(frozen=True)
class Ragged:
    """A ragged feature: row r owns `values[row_splits[r]:row_splits[r + 1]]`.

    Numpy forms of ragged tensors lose their row splits.
    """

    values: np.ndarray
    row_splits: np.ndarray


def to_numpy(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the features of a batch as arrays, ragged ones as `Ragged`."""
    return {
        name: Ragged(value.values.numpy(), value.row_splits.numpy())
        if hasattr(value, "row_splits")
        else value.numpy()
        for name, value in parsed.items()
    }
