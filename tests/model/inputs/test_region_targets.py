"""Tests of model.inputs.region_targets, by hand and by painted images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import records
from beam_jobs.errors import InputError
from beam_jobs.images import regions
from model.config import DataConfig, HeadConfig
from model.inputs import image_augmentation, region_targets
from model.inputs.region_targets import IGNORED, PADDING, View
from tests.helpers.images import encode

HALF = View(0.0, 0.5, 0.5, 0.5)


def test_a_box_moves_with_the_view():
    boxes = np.array([[0.25, 0.25, 0.5, 0.75]], np.float32)
    seen, share = region_targets.boxes_in(HALF, boxes)
    assert seen.tolist() == [[0.5, 0.0, 1.0, 0.5]]
    assert share.tolist() == [0.5]
    seen, _ = region_targets.boxes_in(HALF._replace(flip=True), boxes)
    assert seen.tolist() == [[0.5, 0.5, 1.0, 1.0]]


def test_targets_say_what_is_to_be_ignored_and_are_filled_up():
    boxes = np.array(
        [
            # Too little of it is seen; outside; the largest; difficult.
            [0.0, 0.0, 0.5, 0.6],
            [0.6, 0.6, 0.9, 0.9],
            [0.0, 0.5, 0.5, 1.0],
            [0.0, 0.6, 0.1, 0.7],
        ],
        np.float32,
    )
    found, labels = region_targets.box_targets(
        [HALF, View()],
        np.array([0, 4, 4]),
        np.array([3, 4, 5, 6]),
        np.array([0, 0, 0, 1]),
        boxes.reshape(-1),
        4,
    )
    assert labels.tolist() == [
        [5, IGNORED, IGNORED, PADDING],
        [PADDING] * 4,
    ]
    assert found[0, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert found[0, 1] == pytest.approx([0.0, 0.0, 1.0, 0.2])


def test_of_too_many_objects_the_largest_stay():
    sides = np.array([0.1, 0.3, 0.2])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], 1)
    _, labels = region_targets.box_targets(
        [View()],
        np.array([0, 3]),
        np.array([0, 1, 2]),
        np.zeros(3, int),
        boxes.astype(np.float32).reshape(-1),
        2,
    )
    assert labels.tolist() == [[1, 2]]


def test_a_mask_is_resized_by_its_nearest_pixels():
    ids = np.arange(8, dtype=np.uint8).reshape(2, 4)
    assert region_targets.mask_in(View(), ids, 2).tolist() == [[1, 3], [5, 7]]
    assert region_targets.mask_in(HALF, ids, 2).tolist() == [[2, 3]] * 2
    flipped = region_targets.mask_in(HALF._replace(flip=True), ids, 2)
    assert flipped.tolist() == [[3, 2]] * 2


CONFIG = DataConfig(
    image_size=64,
    framing="whole",
    crop_area=(0.2, 0.9),
    rotation_probability=0.0,
    colour_probability=0.0,
)
# Height and width, and a bright box: ymin, xmin, ymax, xmax, pixels.
SIZES = ((90, 120), (120, 80))
BOX = (30, 40, 60, 60)


def painted(height, width):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[BOX[0] : BOX[2], BOX[1] : BOX[3]] = 255
    return pixels


def record(height, width):
    pixels = painted(height, width)
    parts = np.array(BOX) / np.array([height, width, height, width])
    mask = regions.write_mask(pixels[:, :, 0] // 255)
    values = {
        records.IMAGE_ENCODED: encode(pixels),
        records.IMAGE_ID: b"a",
        records.IMAGE_HEIGHT: height,
        records.IMAGE_WIDTH: width,
        records.OBJECT_CLASS: 2,
        records.OBJECT_FLAG: 0,
        records.OBJECT_BOX: parts,
        records.IMAGE_MASK: mask,
    }
    feature = tf.train.Feature
    kinds = {
        bytes: lambda v: feature(bytes_list=tf.train.BytesList(value=[v])),
        int: lambda v: feature(int64_list=tf.train.Int64List(value=[v])),
        np.ndarray: lambda v: feature(
            float_list=tf.train.FloatList(value=v.astype(np.float32))
        ),
    }
    features = {n: kinds[type(v)](v) for n, v in values.items()}
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_targets_lie_where_the_augmented_pixels_are(task):
    rows = tf.constant([record(*size) for size in SIZES])
    head = HeadConfig(task, boxes=3)
    seen = 0
    for epoch in range(8):
        places = np.arange(2, dtype=np.int64) + 7
        images = image_augmentation.augment_batch(
            np.array([encode(painted(*size)) for size in SIZES], object),
            np.array([b"a", b"b"], object),
            epoch,
            places,
            CONFIG,
        )
        bright = images[..., 0] > 127
        drawn = tf.constant(epoch, tf.int64), tf.constant(places)
        found = region_targets.of_records(rows, CONFIG, head, drawn)
        if task == "segmentation":
            # The filter blurs the edge.
            assert (found[0].numpy() != bright).mean() < 0.03
            seen += bright.any()
            continue
        for image, box, label in zip(bright, *found, strict=True):
            if label[0] == PADDING:
                assert image.mean() < 0.01
                continue
            ys, xs = np.nonzero(image)
            edges = [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
            assert box[0].numpy() * 64 == pytest.approx(edges, abs=1.01)
            seen += 1
    assert seen >= 8


def test_without_augmentation_the_whole_image_is_seen():
    rows = tf.constant([record(*size) for size in SIZES])
    boxes, labels = region_targets.of_records(
        rows, CONFIG, HeadConfig("detection", boxes=2)
    )
    assert labels.numpy().tolist() == [[2, PADDING]] * 2
    assert boxes[0, 0].numpy() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 0.5])
    with_flag = dataclasses.replace(CONFIG, image_size=32)
    (masks,) = region_targets.of_records(
        rows, with_flag, HeadConfig("segmentation")
    )
    assert masks.shape == (2, 32, 32)


def test_a_record_without_a_mask_is_named():
    with pytest.raises(InputError, match="record dog: no mask; masks come fr"):
        region_targets.read_mask(b"", b"dog")
    with pytest.raises(InputError, match="record dog: no mask: not a PNG"):
        region_targets.read_mask(b"x", b"dog")
