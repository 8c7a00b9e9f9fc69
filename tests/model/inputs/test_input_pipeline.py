"""Tests of model.inputs.input_pipeline: order and sharing."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from model import workdir as files
from model.config import DataConfig
from model.inputs import (
    input_pipeline,
    preprocessing,
    record_counts,
    skipped_records,
)
from model.inputs.input_pipeline import as_input_errors
from tests.helpers.datasets import write_dataset
from tests.helpers.records import Record, to_example

PLAIN = DataConfig(
    image_size=16,
    crop_fraction=1.0,
    crop_area=(1.0, 1.0),
    crop_aspect=(1.0, 1.0),
    flip_probability=0.0,
    rotation_probability=0.0,
    colour_probability=0.0,
)
AUGMENTED = DataConfig(image_size=16)
BLOCKS = DataConfig(
    image_size=16,
    reading="blocks",
    streams=4,
    block_bytes=2000,
    shuffle_bytes=16_000,
)
CLASSES = 5


@pytest.fixture(name="mode", params=["records", "blocks"])
def fixture_mode(request):
    """Returns augmented settings of each kind of reading."""
    return {"records": AUGMENTED, "blocks": BLOCKS}[request.param]


def read(dataset, config=PLAIN, **options):
    settings = {"classes": CLASSES, "batch_size": 8, "epochs": 1, **options}
    batches = input_pipeline.make_train_dataset(dataset, config, **settings)
    images, targets = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(targets)


@pytest.mark.parametrize("reading", ["records", "blocks"])
def test_every_image_once_an_epoch(tiny_dataset, reading):
    images, targets = read(tiny_dataset, replace(PLAIN, reading=reading))
    assert images.shape == (24, 16, 16, 3)
    assert len({image.tobytes() for image in images}) == 24
    np.testing.assert_array_equal(targets.sum(axis=0), [24, 8, 8, 8, 0])


def test_image_keeps_its_labels(tiny_dataset):
    images, targets = read(tiny_dataset)
    # The colour channel that is brightest belongs to class 1, 2 or 3.
    brightest = images.mean(axis=(1, 2)).argmax(axis=1) + 1
    assert (targets[np.arange(24), brightest] == 1).all()


def test_same_seed_same_bytes(tiny_dataset, mode):
    first = read(tiny_dataset, mode, epochs=2, seed=3)
    tf.random.set_seed(99)
    second = read(tiny_dataset, mode, epochs=2, seed=3)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_and_seeds_differ(tiny_dataset):
    images, _ = read(tiny_dataset, epochs=2)
    other, _ = read(tiny_dataset, seed=1)
    assert (images[:24] != images[24:]).any()
    assert (images[:24] != other).any()


def test_any_step_needs_no_earlier_one(tiny_dataset, mode):
    images, targets = read(tiny_dataset, mode, epochs=3)
    for step in (1, 3, 8):
        epoch, first = divmod(step, 3)
        resumed = read(
            tiny_dataset, mode, epochs=3, first_epoch=epoch, first_step=first
        )
        np.testing.assert_array_equal(images[8 * step :], resumed[0])
        np.testing.assert_array_equal(targets[8 * step :], resumed[1])


@pytest.mark.parametrize(("workers", "replicas"), [(2, 2), (2, 4), (8, 8)])
def test_workers_share_each_batch(tiny_dataset, mode, workers, replicas):
    whole = read(tiny_dataset, mode, first_step=1, epochs=2)
    contexts = [
        tf.distribute.InputContext(workers, worker, replicas)
        for worker in range(workers)
    ]
    parts = [
        read(tiny_dataset, mode, first_step=1, epochs=2, context=context)
        for context in contexts
    ]
    # Worker by worker in each step, as one replica has them.
    for found, those in zip(whole, zip(*parts, strict=True), strict=True):
        steps = [part.reshape(5, -1, *part.shape[1:]) for part in those]
        together = np.concatenate(steps, axis=1)
        np.testing.assert_array_equal(together.reshape(found.shape), found)


def test_remainder_is_left_out(tiny_dataset):
    images, _ = read(tiny_dataset, batch_size=10, epochs=2)
    assert len(images) == 40


def test_batch_larger_than_the_data_is_refused(tiny_dataset):
    with pytest.raises(InputError, match="only 24 training images"):
        read(tiny_dataset, batch_size=25)


def test_evaluation_reads_in_order_with_a_small_last_batch(tiny_dataset):
    batches = input_pipeline.make_eval_dataset(
        tiny_dataset, PLAIN, classes=CLASSES, batch_size=4, with_features=True
    )
    images, targets, features = zip(*batches, strict=True)
    assert [len(i) for i in images] == [4, 2]
    ids = np.concatenate([f[records.IMAGE_ID] for f in features])
    assert ids.tolist() == [b"imagenet/%d" % i for i in range(6)]
    labels = np.argmax(np.concatenate(targets)[:, 1:], axis=1) + 1
    assert labels.tolist() == [1, 2, 3, 1, 2, 3]


def test_shapes_of_a_batch_are_known_beforehand(tiny_dataset):
    batches = input_pipeline.make_train_dataset(
        tiny_dataset, PLAIN, classes=CLASSES, batch_size=8, epochs=1
    )
    images, targets = batches.element_spec
    assert images.shape == (8, 16, 16, 3)
    assert targets.shape == (8, CLASSES)


def test_images_wait_as_bytes(tiny_dataset):
    images, targets = read(tiny_dataset, AUGMENTED)
    assert (images.dtype, targets.dtype) == (np.uint8, np.int8)


def break_image(folder, split, number):
    """Puts a record without a real image into a shard; its checksum is right.

    Args:
        number: of the record in the first shard.
    """
    path = min((folder / split).glob("*.tfrecord"))
    rows = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    broken = Record("coco/7", b"\xff\xd8\xff none", 1, 1)
    rows[number] = to_example(broken)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(row)


def test_broken_record_is_named(tmp_path):
    folder = write_dataset(tmp_path / "broken", images=8)
    break_image(folder, "train", 0)
    with pytest.raises(InputError, match="^record coco/7: its image") as caught:
        with as_input_errors(folder):
            read(folder)
    assert "\n" not in str(caught.value)


def test_broken_record_is_named_in_evaluation(tmp_path):
    folder = write_dataset(tmp_path / "broken", images=8)
    break_image(folder, "validation", 1)
    batches = input_pipeline.make_eval_dataset(
        folder, PLAIN, classes=CLASSES, batch_size=4
    )
    with pytest.raises(InputError, match="^record coco/7: its image") as caught:
        with as_input_errors(folder):
            list(batches)
    assert "\n" not in str(caught.value)


def test_evaluation_has_the_pixels_of_serving(tiny_dataset):
    config = replace(PLAIN, crop_fraction=0.8)
    batches = input_pipeline.make_eval_dataset(
        tiny_dataset, config, classes=CLASSES, batch_size=6
    )
    path = tiny_dataset / dataset_folder.shard_path("validation", 0, 1)
    spec = records.feature_spec(records.IMAGE_ENCODED)
    expected = [
        preprocessing.decode_and_resize(
            tf.io.parse_single_example(row, spec)[records.IMAGE_ENCODED],
            16,
            0.8,
        )
        for row in tf.data.TFRecordDataset(str(path))
    ]
    ((images, _),) = batches
    np.testing.assert_array_equal(images, np.stack(expected))


def test_what_is_damaged_is_passed_over_alike_by_all_workers(tmp_path, mode):
    folder = write_dataset(tmp_path / "damaged")
    break_image(folder, "train", 3)
    # The one after it is damaged, too.
    path = folder / dataset_folder.shard_path("train", 0, 2)
    index = record_counts.open_index(folder)
    content = bytearray(path.read_bytes())
    content[index.offsets(0)[4] + 20] ^= 1
    path.write_bytes(content)
    config = replace(mode, skip_damaged=0.1)
    whole = read(folder, config, workdir=tmp_path / "one")
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        part = read(folder, config, context=context, workdir=tmp_path / "two")
        for found, expected in zip(part, whole, strict=True):
            expected = expected.reshape(3, 2, 4, *expected.shape[1:])[:, worker]
            np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert skipped_records.gather(tmp_path / "one") == 2
    lists = [(tmp_path / name / files.DAMAGED) for name in ("one", "two")]
    assert skipped_records.gather(tmp_path / "two") == 2
    first, second = lists[0].read_text().splitlines()
    assert first.startswith(f"{path} is damaged at byte ")
    assert second.startswith("record coco/7: its image (8 bytes) cannot be")
    assert lists[0].read_text() == lists[1].read_text()


def test_an_image_taken_instead_brings_its_labels(tmp_path):
    folder = write_dataset(tmp_path / "broken")
    break_image(folder, "train", 3)
    images, targets = read(folder, replace(PLAIN, skip_damaged=0.1))
    brightest = images.mean(axis=(1, 2)).argmax(axis=1) + 1
    assert (targets[np.arange(24), brightest] == 1).all()


def test_damaged_shard_is_named(tmp_path):
    folder = write_dataset(tmp_path / "damaged", images=8)
    path = folder / dataset_folder.shard_path("train", 0, 2)
    content = bytearray(path.read_bytes())
    content[40] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        with as_input_errors(folder):
            read(folder)
    # The bytes of the first record follow its length and the checksum of it.
    assert str(caught.value) == (
        f"{path} is damaged at byte 12; copy it again, or make the data set "
        "again with `tagforest dataset`"
    )


@pytest.mark.parametrize("content", [b"of another program", b"\xff\xfe"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_shard_of_other_whole_records_is_named(tmp_path, content, split):
    folder = write_dataset(tmp_path / "foreign", images=8)
    [*_, shard] = dataset_folder.shard_paths(folder, split)
    count = len(list(tf.data.TFRecordDataset(shard)))
    with tf.io.TFRecordWriter(shard) as writer:
        for _ in range(count):
            writer.write(content)
    with pytest.raises(InputError, match=f"^{shard} holds records that are"):
        with as_input_errors(folder):
            if split == "train":
                read(folder)
            list(
                input_pipeline.make_eval_dataset(
                    folder, PLAIN, classes=CLASSES, batch_size=4
                )
            )


def test_other_errors_stay_what_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError):
        with as_input_errors("dataset"):
            raise tf.errors.InvalidArgumentError(None, None, "of the network")
