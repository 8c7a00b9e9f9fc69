"""TFRecord shards to batches of images and dense targets.

Records are shuffled before they are decoded (a shuffle buffer of decoded
224-pixel images takes 30 times the memory) and labels become dense only once
they are batched (the released code's dense labels: 183 MB a batch). One call
parses, decodes and augments a whole batch of training: calls for each image
cost more than some of the work in them. The order and the augmentation follow
from (seed, epoch, position) alone, so a resumed run sees what an undisturbed
one would.

Targets are int8 [batch, classes], see `model.inputs.targets`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import damage, dataset_folder, records
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model.config import DataConfig
from model.inputs import image_augmentation, preprocessing, targets

_READ_BATCH = 1024


def count_records(shards: Sequence[str]) -> int:
    """Returns the number of records in the shards."""
    # By blocks: an operation for each record costs more than its reading.
    blocks = _read(shards).batch(_READ_BATCH).map(tf.size)
    return int(blocks.reduce(0, lambda total, size: total + size).numpy())


def has_images(shards: Sequence[str]) -> bool:
    """Returns whether the first record holds an image."""
    # One stands for all: a data set has images in every record, or in none.
    for row in _read(shards).take(1):
        return bool(tf.strings.length(_encoded(row)).numpy())
    return False


def label_counts(
    shards: Sequence[str], classes: int, min_confidence: float = 0.0
) -> np.ndarray:
    """Returns int64 [classes]: images with each class as a label.

    Raises:
        InputError: a record has a label that the vocabulary lacks.
    """
    spec = _subset(records.LABEL_ID, records.LABEL_CONFIDENCE)
    counts = np.zeros(classes, np.int64)
    for block in _read(shards).batch(_READ_BATCH):
        row = tf.io.parse_example(block, spec)
        sure = row[records.LABEL_CONFIDENCE].flat_values >= min_confidence
        ids = row[records.LABEL_ID].flat_values.numpy()[sure.numpy()]
        if ids.size and not 0 <= ids.min() <= ids.max() < classes:
            raise InputError(
                f"a record has label {ids.max()}, the vocabulary has "
                f"{classes} classes: the data set's files do not belong "
                "together; run `tagforest dataset` again"
            )
        counts += np.bincount(ids, minlength=classes)
    return counts


def make_train_dataset(
    dataset: str | os.PathLike[str],
    config: DataConfig,
    *,
    classes: int,
    batch_size: int,
    epochs: int,
    first_epoch: int = 0,
    first_step: int = 0,
    images: int | None = None,
    seed: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns batches for the epochs from `first_epoch` to `epochs`.

    Worker w of n takes the w-th of n equal parts of each batch: all replicas
    together see the very batches that a single one would see, in the order
    of their numbers.

    Args:
        batch_size: images a step over all replicas.
        epochs: each leaves out the rest below a batch, another one each.
        first_step: steps of the first epoch to pass over, undecoded.
        images: in the split, where that is known; else they are counted.
        context: which worker of how many; by default there is one.

    Returns:
        A replica's uint8 [batch, size, size, 3], which the network scales
        (`preprocessing.network_input`), and int8 [batch, classes].

    Raises:
        InputError: no such data set.
    """
    shards = dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    images = count_records(shards) if images is None else images
    steps = steps_per_epoch(images, batch_size)

    # Epochs of one seed meet no epoch of another.
    key = tf.constant(seed * 1_000_003, tf.int64)

    def numbered(epoch):
        rows = _shuffled(shards, config.shuffle_buffer, key + epoch)
        # Numbered before any is passed over: the draws hang on the place.
        return rows.take(steps * batch_size).enumerate()

    passed, every = first_step * batch_size, (first_epoch, epochs)
    context = context or tf.distribute.InputContext()
    batches = _dealt(numbered, every, passed, batch_size, context)
    siblings = targets.siblings_of_dataset(dataset, config)
    return _with_options(_decoded(batches, key, config, classes, siblings))


def _dealt(
    numbered: Callable[[tf.Tensor], tf.data.Dataset],
    epochs: tuple[int, int],
    passed: int,
    batch_size: int,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    """Returns (epoch, places, serialized records), a replica's batches.

    Args:
        numbered: from an epoch to its (place, record).
        epochs: the first, and the one to end before.
        passed: records of the first epoch to pass over.
    """
    nothing, behind = tf.constant(0, tf.int64), tf.constant(passed, tf.int64)
    share = batch_size // context.num_input_pipelines

    def is_mine(place, row):
        return place % batch_size // share == context.input_pipeline_id

    def one_epoch(epoch):
        # Still serialized: to pass over an epoch costs its reading alone.
        rows = numbered(epoch)
        rows = rows.skip(tf.where(epoch == epochs[0], behind, nothing))
        if context.num_input_pipelines > 1:
            rows = rows.filter(is_mine)
        # A static batch size, which XLA and the accumulation ask for.
        size = batch_size // context.num_replicas_in_sync
        batches = rows.batch(size, drop_remainder=True)
        return batches.map(lambda places, rows: (epoch, places, rows))

    return tf.data.Dataset.range(*epochs).flat_map(one_epoch)


def _decoded(
    batches: tf.data.Dataset,
    key: tf.Tensor,
    config: DataConfig,
    classes: int,
    siblings: tf.RaggedTensor | None,
) -> tf.data.Dataset:
    """Makes images and targets of (epoch, places, serialized records)."""
    spec = label_spec(config) | _subset(_ENCODED, records.IMAGE_ID)

    def decode(epoch, places, rows):
        features = tf.io.parse_example(rows, spec)
        images = _augmented(features, key + epoch, places, config)
        dense = targets.dense_targets(features, classes, config, siblings)
        return images, tf.ensure_shape(dense, [*rows.shape, classes])

    # Two at once, for the threads that finish a batch early.
    return batches.map(decode, num_parallel_calls=2)


def _augmented(features, key, places, config: DataConfig) -> tf.Tensor:
    """Returns uint8 [batch, size, size, 3]."""

    def work(encoded, names, key, places):
        return image_augmentation.augment_batch(
            encoded, names, key, places, config
        )

    encoded = features[_ENCODED]
    images = tf.numpy_function(
        work,
        [encoded, features[records.IMAGE_ID], key, places],
        tf.uint8,
        stateful=False,
    )
    size = config.image_size
    return tf.ensure_shape(images, [*encoded.shape, size, size, 3])


def _encoded(row: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_single_example(row, _subset(_ENCODED))[_ENCODED]


def _shuffled(
    shards: Sequence[str], buffer: int, seed: tf.Tensor
) -> tf.data.Dataset:
    # Of this function's own graph: the caller's must not change the order.
    tf.random.set_seed(1)
    return _read(shards).shuffle(buffer, seed=seed)


def make_eval_dataset(
    dataset: str | os.PathLike[str],
    config: DataConfig,
    *,
    classes: int,
    batch_size: int,
    split: str = dataset_folder.VALIDATION,
    with_features: bool = False,
    places: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns one pass over a split in the order of its shards.

    Args:
        places: of the records to read, int64 ascending; by default all.
        with_features: adds a third part, the parsed records without the
            image: `image/id` [batch] and the ragged [batch, labels]
            `label/*` and `absent/id`.

    Returns:
        Elements (float32 [batch, size, size, 3], int8 [batch, classes]);
        the last batch may be smaller.

    Raises:
        InputError: no such data set, or no such split.
    """
    shards = dataset_folder.shard_paths(dataset, split)

    def decode(row):
        encoded = _encoded(row)
        image = preprocessing.decode_and_resize(
            encoded, config.image_size, config.crop_fraction
        )
        return image, row

    rows = _read(shards)
    if places is not None:
        rows = _read_places(shards, _records(dataset, split, shards), places)
    batches = rows.map(decode, tf.data.AUTOTUNE).batch(batch_size)
    siblings = targets.siblings_of_dataset(dataset, config)
    return _finish(batches, config, classes, siblings, with_features)


def steps_per_epoch(images: int, global_batch_size: int) -> int:
    """Returns the full batches in one pass.

    Raises:
        InputError: not even one.
    """
    if images < global_batch_size:
        raise InputError(
            f"schedule.batch_size is {global_batch_size} but there are only "
            f"{images} training images; take at most that many, with "
            f"--set schedule.batch_size={max(images // 2, 1)} for example"
        )
    return images // global_batch_size


def label_spec(config: DataConfig) -> dict:
    """Returns the spec of what `dense_targets` reads, for `parse_example`.

    Sparse: ragged labels need their rows numbered first, a third slower.
    """
    spec = {records.LABEL_ID: tf.io.VarLenFeature(tf.int64)}
    if config.unknown != "negative":
        spec[records.ABSENT_ID] = tf.io.VarLenFeature(tf.int64)
    if config.unknown != "negative" or config.min_confidence > 0:
        spec[records.LABEL_CONFIDENCE] = tf.io.VarLenFeature(tf.float32)
    return spec


_ENCODED = records.IMAGE_ENCODED


def _read(shards: Sequence[str]) -> tf.data.Dataset:
    tensorflow_files.register(shards[0])
    return tf.data.TFRecordDataset(
        [tensorflow_files.tensorflow_path(shard) for shard in shards]
    )


def _read_places(
    shards: Sequence[str], records_of: Sequence[int], places: np.ndarray
) -> tf.data.Dataset:
    """Reads the records of ascending places, from their shards alone."""
    if not len(places):
        return _read(shards[:1]).take(0)
    ends = np.cumsum(records_of)
    first, last = np.searchsorted(ends, places[[0, -1]], "right")
    before = ends[first] - records_of[first]
    chosen = np.zeros(places[-1] + 1 - before, bool)
    chosen[places - before] = True
    is_chosen = tf.constant(chosen)
    rows = _read(shards[first : last + 1]).take(len(chosen)).enumerate()
    return rows.filter(lambda i, _: is_chosen[i]).map(lambda _, row: row)


def _records(
    dataset: str | os.PathLike[str], split: str, shards: Sequence[str]
) -> list[int]:
    """Returns how many records each shard has."""
    splits = dataset_folder.read_manifest(dataset).get("splits", {})
    if split not in splits:
        return [count_records([shard]) for shard in shards]
    described = {
        os.path.basename(s["path"]): s["records"]
        for s in splits[split]["shards"]
    }
    return [described[os.path.basename(shard)] for shard in shards]


def _subset(*names: str) -> dict:
    spec = records.feature_spec()
    return {name: spec[name] for name in names}


def _finish(
    batches: tf.data.Dataset,
    config: DataConfig,
    classes: int,
    siblings: tf.RaggedTensor | None,
    with_features: bool,
) -> tf.data.Dataset:
    """Parses the labels of whole batches."""
    spec = label_spec(config)
    whole = records.feature_spec()
    del whole[_ENCODED]

    def parse(images, rows):
        labels = tf.io.parse_example(rows, spec)
        dense = targets.dense_targets(labels, classes, config, siblings)
        dense = tf.ensure_shape(dense, [*rows.shape, classes])
        if with_features:
            return images, dense, tf.io.parse_example(rows, whole)
        return images, dense

    return _with_options(batches.map(parse))


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Keeps the order; two batches wait ahead."""
    options = tf.data.Options()
    # Parallel maps may hand over what is done first: not in a training
    # that is to be repeated.
    options.deterministic = True
    # The worker's part is taken above, by example.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return batches.prefetch(2).with_options(options)


# What Python raised in the pipeline arrives as a text with its traceback.
_OURS = re.compile(r"\bInputError: (.+)")


@contextlib.contextmanager
def as_input_errors(*datasets: str | os.PathLike[str]) -> Iterator[None]:
    """Turns a broken record or a damaged shard into an InputError.

    Args:
        datasets: that are read.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise InputError(_damage(datasets, str(error.message))) from error
    except tf.errors.OpError as error:
        found = _OURS.search(str(error.message))
        if found is None:
            raise
        raise InputError(found[1]) from error


def _damage(datasets: Sequence[str | os.PathLike[str]], said: str) -> str:
    """Returns a line that names the shard and the byte, where it is found."""
    byte = damage.find_byte(said)
    shards = (s for d in datasets for s in dataset_folder.all_shards(d))
    shard = None if byte is None else damage.damaged_shard(shards, byte)
    named = " or ".join(str(d) for d in datasets)
    return damage.describe(shard or f"a shard of {named}", said)
