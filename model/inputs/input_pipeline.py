"""TFRecord shards to batches of images and dense targets.

A worker reads its own part of each batch of training (`record_order`), and
labels become dense only once they are batched (the released code's dense
labels: 183 MB a batch). One call reads a whole batch, and one decodes and
augments it: calls for each image cost more than some of the work in them. The
order and the augmentation follow from (seed, epoch, place) alone, so a resumed
run sees what an undisturbed one would.

Targets are int8 [batch, classes], see `model.inputs.targets`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import (
    damage,
    dataset_folder,
    read_records,
    records,
)
from beam_jobs.dataset.record_index import SplitIndex, open_index
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model import workdir as files
from model.config import Config, DataConfig, HeadConfig
from model.config_sections import TAGS
from model.inputs import (
    epoch_reader,
    host_images,
    preprocessing,
    record_counts,
    record_order,
    region_targets,
    targets,
    train_batches,
)
from model.inputs.epoch_reader import EpochReader
from model.inputs.record_reader import RecordReader
from model.inputs.skipped_records import SkippedRecords


def make_train_dataset(
    dataset: str | os.PathLike[str],
    config: DataConfig,
    *,
    classes: int,
    batch_size: int,
    epochs: int,
    first_epoch: int = 0,
    first_step: int = 0,
    seed: int = 0,
    context: tf.distribute.InputContext | None = None,
    workdir: Path | None = None,
    cached: np.ndarray | None = None,
    head: HeadConfig | None = None,
) -> tf.data.Dataset:
    """Returns batches for the epochs from `first_epoch` to `epochs`.

    Worker w of n reads the w-th of n equal parts of each: all replicas together
    see the batches of one.

    Args:
        batch_size: images a step over all replicas.
        epochs: each leaves out the rest below a batch, another one each.
        first_step: of the first epoch; those before are not read.
        context: which worker of how many; by default there is one.
        workdir: keeps indices, counts and the list of damaged records.
        cached: features float32 [records, filters], instead of images.
        head: whose task says which targets; by default tags.

    Returns:
        A replica's uint8 [batch, size, size, 3], which the network scales, or
        its features [batch, filters]; and int8 [batch, classes], or what
        `region_targets` says.

    Raises:
        InputError: no such data set.
    """
    config = record_order.settled(config, os.fspath(dataset))
    context = context or tf.distribute.InputContext()
    index = record_counts.open_index(dataset, workdir)
    steps = steps_per_epoch(len(index), batch_size)
    order = record_order.make_order(config, index, batch_size, seed)
    parts = train_batches.Parts(batch_size, steps, context)
    skipped = _skipped(config, workdir, context, steps * batch_size)
    rows = RecordReader(index, config.read_ahead)
    reader = EpochReader(rows, order, skipped, epochs)
    first = first_epoch, first_step
    batches = train_batches.read(reader, parts, first, epochs)
    siblings = targets.siblings_of_dataset(dataset, config)
    of = reader, seed, config, classes, siblings, cached, head
    return _with_options(train_batches.decode(batches, *of))


def _skipped(
    config: DataConfig,
    workdir: Path | None,
    context: tf.distribute.InputContext,
    images: int,
) -> SkippedRecords:
    """Returns what counts a worker's damaged records, of an epoch's images."""
    damaged = workdir and files.damaged_of(workdir, context.input_pipeline_id)
    share = images // context.num_input_pipelines
    return SkippedRecords(config.skip_damaged, share, damaged)


def describe(
    dataset: str | os.PathLike[str],
    config: Config,
    workers: int,
    workdir: Path | None = None,
) -> str:
    """Returns a line on how a worker of a training reads, and its memory."""
    index = record_counts.open_index(dataset, workdir)
    data = record_order.settled(config.data, os.fspath(dataset))
    batch_size = config.schedule.batch_size
    order = record_order.make_order(data, index, batch_size, config.seed)
    reader = RecordReader(index, data.read_ahead)
    return epoch_reader.describe(reader, order, batch_size, workers)


def make_eval_dataset(
    dataset: str | os.PathLike[str],
    config: DataConfig,
    *,
    classes: int,
    batch_size: int,
    split: str = dataset_folder.VALIDATION,
    with_features: bool = False,
    places: np.ndarray | None = None,
    choose: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
    head: HeadConfig | None = None,
) -> tf.data.Dataset:
    """Returns one pass over a split in the order of its shards.

    Args:
        places: of the records to read, int64 ascending; by default all.
        choose: takes the serialized records to decode out of these.
        with_features: of tags, adds a third part, the records without the
            image: `image/id` [batch] and the ragged [batch, labels]
            `label/*` and `absent/id`.
        head: whose task says which targets; by default tags.

    Returns:
        Elements (float32 [batch, size, size, 3], int8 [batch, classes]), or
        what `region_targets` says; the last batch may be smaller.

    Raises:
        InputError: no such data set, or no such split.
    """
    rows = _read(dataset_folder.shard_paths(dataset, split))
    if places is not None:
        rows = _read_places(open_index(dataset, split), places)
    # Chosen before it is decoded.
    rows = rows if choose is None else choose(rows)
    rows = rows.map(lambda row: (_decoded(row, config), row), tf.data.AUTOTUNE)
    batches = rows.batch(batch_size)
    if head is not None and head.task != TAGS:
        return _with_options(
            batches.map(
                lambda images, rows: (
                    images,
                    *region_targets.of_records(rows, config, head),
                )
            )
        )
    siblings = targets.siblings_of_dataset(dataset, config)
    return _finish(batches, config, classes, siblings, with_features)


def _decoded(row: tf.Tensor, config: DataConfig) -> tf.Tensor:
    """Returns the image of a record, float32 [size, size, 3]."""
    spec = records.feature_spec(records.IMAGE_ENCODED, records.IMAGE_ID)
    features = tf.io.parse_single_example(row, spec)
    pixels = tf.numpy_function(
        host_images.decode_record,
        [features[name] for name in spec],
        tf.uint8,
        stateful=False,
    )
    return preprocessing.crop_and_resize(
        tf.ensure_shape(pixels, [None, None, 3]),
        config.image_size,
        config.crop_fraction,
        config.framing,
    )


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


def _read(shards: Sequence[str]) -> tf.data.Dataset:
    tensorflow_files.register(shards[0])
    return tf.data.TFRecordDataset(
        [tensorflow_files.tensorflow_path(shard) for shard in shards]
    )


def _read_places(index: SplitIndex, places: np.ndarray) -> tf.data.Dataset:
    """Reads the records of ascending places, from their shards alone."""
    if not len(places):
        return _read(index.shards[:1]).take(0)
    first, last = (index.place_of(int(p))[0] for p in places[[0, -1]])
    before = index.starts[first]
    chosen = np.zeros(places[-1] + 1 - before, bool)
    chosen[places - before] = True
    is_chosen = tf.constant(chosen)
    rows = _read(index.shards[first : last + 1]).take(len(chosen)).enumerate()
    return rows.filter(lambda i, _: is_chosen[i]).map(lambda _, row: row)


def _finish(
    batches: tf.data.Dataset,
    config: DataConfig,
    classes: int,
    siblings: tf.RaggedTensor | None,
    with_features: bool,
) -> tf.data.Dataset:
    """Parses the labels of whole batches."""
    spec = targets.label_spec(config)
    whole = records.feature_spec()
    del whole[records.IMAGE_ENCODED], whole[records.IMAGE_MASK]

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
# TensorFlow's, of a whole record that is no Example.
_FOREIGN = "Could not parse example"
_FOREIGN_BATCH = 64


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
            _find_foreign(datasets, str(error.message))
            raise
        raise InputError(found[1]) from error
    except UnicodeDecodeError as error:
        # TensorFlow's words hold the record, whose bytes may be no text.
        _find_foreign(datasets, error.object.decode("utf-8", "replace"))
        raise


def _find_foreign(
    datasets: Sequence[str | os.PathLike[str]], said: str
) -> None:
    """Raises InputError for the first shard of other records, if said so."""
    if _FOREIGN in said:
        for shard in (
            s for d in datasets for s in dataset_folder.all_shards(d)
        ):
            for _ in read_records.read_batches(shard, _FOREIGN_BATCH):
                pass


def _damage(datasets: Sequence[str | os.PathLike[str]], said: str) -> str:
    """Returns a line that names the shard and the byte, where it is found."""
    byte = damage.find_byte(said)
    shards = (s for d in datasets for s in dataset_folder.all_shards(d))
    shard = None if byte is None else damage.damaged_shard(shards, byte)
    named = " or ".join(str(d) for d in datasets)
    return damage.describe(shard or f"a shard of {named}", said)
