"""Tests of model.inputs.input_pipeline: order and sharing."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from model.config import DataConfig
from model.inputs import input_pipeline
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
CLASSES = 5


def read(dataset, config=PLAIN, **options):
    settings = {"classes": CLASSES, "batch_size": 8, "epochs": 1, **options}
    batches = input_pipeline.make_train_dataset(dataset, config, **settings)
    images, targets = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(targets)


def test_counts(tiny_dataset):
    shards = dataset_folder.shard_paths(tiny_dataset, "train")
    assert input_pipeline.count_records(shards) == 24
    counts = input_pipeline.label_counts(shards, CLASSES)
    np.testing.assert_array_equal(counts, [24, 8, 8, 8, 0])
    counts = input_pipeline.label_counts(shards, CLASSES, min_confidence=0.9)
    np.testing.assert_array_equal(counts, [24, 0, 0, 0, 0])


def test_counts_refuse_a_smaller_vocabulary(tiny_dataset):
    shards = dataset_folder.shard_paths(tiny_dataset, "train")
    with pytest.raises(InputError, match="label 3"):
        input_pipeline.label_counts(shards, 3)


def test_every_image_once_an_epoch(tiny_dataset):
    images, targets = read(tiny_dataset)
    assert images.shape == (24, 16, 16, 3)
    assert len({image.tobytes() for image in images}) == 24
    np.testing.assert_array_equal(targets.sum(axis=0), [24, 8, 8, 8, 0])


def test_image_keeps_its_labels(tiny_dataset):
    images, targets = read(tiny_dataset)
    # The colour channel that is brightest belongs to class 1, 2 or 3.
    brightest = images.mean(axis=(1, 2)).argmax(axis=1) + 1
    assert (targets[np.arange(24), brightest] == 1).all()


def test_same_seed_same_bytes(tiny_dataset):
    first = read(tiny_dataset, AUGMENTED, epochs=2, seed=3)
    tf.random.set_seed(99)
    second = read(tiny_dataset, AUGMENTED, epochs=2, seed=3)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_and_seeds_differ(tiny_dataset):
    images, _ = read(tiny_dataset, epochs=2)
    other, _ = read(tiny_dataset, seed=1)
    assert (images[:24] != images[24:]).any()
    assert (images[:24] != other).any()


def test_later_epoch_needs_no_earlier_one(tiny_dataset):
    images, targets = read(tiny_dataset, AUGMENTED, epochs=3)
    resumed = read(tiny_dataset, AUGMENTED, epochs=3, first_epoch=2)
    np.testing.assert_array_equal(images[48:], resumed[0])
    np.testing.assert_array_equal(targets[48:], resumed[1])


def test_workers_share_each_batch(tiny_dataset):
    whole, _ = read(tiny_dataset, AUGMENTED)
    workers = [tf.distribute.InputContext(2, w, 2) for w in range(2)]
    parts = [read(tiny_dataset, AUGMENTED, context=w)[0] for w in workers]
    assert [len(p) for p in parts] == [12, 12]
    for step in range(3):
        together = [p[4 * step : 4 * step + 4] for p in parts]
        together = {i.tobytes() for i in np.concatenate(together)}
        batch = whole[8 * step : 8 * step + 8]
        assert together == {i.tobytes() for i in batch}


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


def test_broken_record_is_named(tmp_path):
    folder = write_dataset(tmp_path / "broken", images=8)
    path = folder / dataset_folder.shard_path("train", 0, 2)
    broken = Record("coco/7", b"\xff\xd8\xff none", 1, 1)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(4):
            writer.write(to_example(broken))
    with pytest.raises(InputError, match="^record coco/7: its image"):
        with as_input_errors(folder):
            read(folder)


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


def test_other_errors_stay_what_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError):
        with as_input_errors("dataset"):
            raise tf.errors.InvalidArgumentError(None, None, "of the network")
