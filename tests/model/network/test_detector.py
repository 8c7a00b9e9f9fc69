"""Tests of model.network.detector: what it learns, finds, saves and exports."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model.config import HeadConfig, NetworkConfig, override
from model.config_sections import DETECTION
from model.configs import tiny_imagenet
from model.evaluation.average_precision import Found, Truth, average_precision
from model.network import detector as module
from model.network.detector import Detector, grid_points
from model.network.leaf_layers import leaves
from model.network.make_model import make_model
from model.network.tagger import Tagger
from model.training import schedules
from tests.helpers.boxes import CLASSES, SIDE, VOC, drawn, photographs

KEPT = 6
NETWORK = {"blocks": (1, 1), "filters": (16, 32), "strides": (1, 2)}


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    """Returns the function that makes a config of detection."""

    def make(network=None, **schedule):
        config = tiny_config(
            **{"optimizer": "adamw", "decay": "constant", **schedule}
        )
        network = {**NETWORK, **(network or {})}
        return dataclasses.replace(
            config,
            data=dataclasses.replace(
                config.data,
                image_size=SIDE,
                framing="whole",
                rotation_probability=0.0,
            ),
            network=dataclasses.replace(
                config.network, stem_filters=16, **network
            ),
            head=HeadConfig(DETECTION, filters=16, boxes=KEPT),
        )

    return make


def built(config, strategy=None, classes=CLASSES):
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        detector = Detector(config, classes)
        optimizer = schedules.make_optimizer(
            config.schedule, 10, config.network.precision
        )
        optimizer.build(detector.trainable_variables)
        detector.compile(optimizer=optimizer, jit_compile=False)
    return detector


def trained(config, steps, strategy=None, batch=8, freeze=False):
    """Returns the detector after some steps on drawn images."""
    detector = built(config, strategy)
    if freeze:
        for layer in leaves(detector.backbone):
            layer.trainable = False
    rows = drawn(batch * steps)

    def make(context):
        size = batch // (context.num_replicas_in_sync if context else 1)
        data = tf.data.Dataset.from_tensor_slices(rows)
        return data.batch(size, drop_remainder=True).repeat()

    data = make(None)
    if strategy is not None:
        data = strategy.distribute_datasets_from_function(make)
    detector.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
    return detector


def precision_at_half(detector, images, boxes, labels, classes):
    """Returns the mean AP50 of what it finds in some images."""
    found = [each.numpy() for each in detector.detect(tf.constant(images))]
    truths = [
        Truth(b[n != -1], n[n != -1], n[n != -1] == -2)
        for b, n in zip(boxes, labels, strict=True)
    ]
    founds = [
        Found(b[s > 0], s[s > 0], c[s > 0])
        for b, s, c in zip(*found, strict=True)
    ]
    truths = [dataclasses.replace(t, classes=abs(t.classes)) for t in truths]
    return float(np.nanmean(average_precision(truths, founds, classes, "voc")))


@pytest.fixture(name="learned", scope="module")
def fixture_learned(config):
    """Returns a detector that knows red and blue rectangles."""
    return trained(config(learning_rate=5e-3), steps=100, batch=16)


def test_it_learns_where_rectangles_are_and_of_which_colour(config, learned):
    images, boxes, labels = drawn(48, seed=1)
    before = built(config())
    assert precision_at_half(before, images, boxes, labels, CLASSES) < 0.1
    assert precision_at_half(learned, images, boxes, labels, CLASSES) > 0.8


def evaluated(detector, rows, batch, weights=None):
    weights = np.ones(len(rows[0]), np.float32) if weights is None else weights
    data = tf.data.Dataset.from_tensor_slices((*rows, weights)).batch(batch)
    return detector.evaluate(data, verbose=0, return_dict=True)["loss"]


def test_an_evaluation_does_not_depend_on_its_batches(config):
    detector = built(config())
    rows = drawn(12)
    whole = evaluated(detector, rows, 12)
    np.testing.assert_allclose(evaluated(detector, rows, 6), whole, rtol=1e-5)
    # Rows that only fill the batch.
    filled = [np.concatenate([r, r[:4]]) for r in rows]
    weights = np.float32([1] * 12 + [0] * 4)
    for batch in (16, 4):
        found = evaluated(detector, filled, batch, weights)
        np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_it_begins_with_the_loss_of_the_prior(config):
    detector = built(config())
    images, boxes, labels = drawn(16)
    labels[:] = -1
    # Each pair costs 0.75 * 0.01^2 * -log(0.99).
    pairs = 16 * len(detector.points) * CLASSES
    wanted = pairs * 0.75 * 0.01**2 * -np.log(0.99)
    found = evaluated(detector, (images, boxes, labels), 16)
    assert found == pytest.approx(wanted, rel=0.1)


def assert_equal_weights(one, two):
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(
            a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4, err_msg=a.path
        )


# Batch normalization sees the rows of a part or a replica: as it is, frozen.
STEPS = {"steps": 2, "freeze": True}


@pytest.fixture(name="whole", scope="module")
def fixture_whole(config):
    """Returns a detector after two steps on one device."""
    detector = trained(config(optimizer="sgd", clip_norm=1.0), **STEPS)
    fresh = built(config())
    moved = zip(detector.head.weights, fresh.head.weights, strict=True)
    assert max(np.abs(a.numpy() - b.numpy()).max() for a, b in moved) > 1e-3
    return detector


def test_parts_equal_the_whole_batch(config, whole):
    sizes = {"clip_norm": 1.0, "accumulation_steps": 2}
    parts = trained(config(optimizer="sgd", **sizes), **STEPS)
    assert_equal_weights(whole, parts)


def test_two_replicas_equal_one(config, whole, two_replicas):
    same = config(optimizer="sgd", clip_norm=1.0)
    assert_equal_weights(whole, trained(same, strategy=two_replicas, **STEPS))


@pytest.mark.large
def test_two_replicas_equal_one_with_parts_and_normalization(
    config, two_replicas
):
    same = config(
        {"batch_norm_sync": True},
        optimizer="sgd",
        clip_norm=1.0,
        accumulation_steps=2,
    )
    one = trained(same, steps=3)
    assert_equal_weights(one, trained(same, steps=3, strategy=two_replicas))


@pytest.mark.parametrize(
    "precision",
    [
        pytest.param("mixed_bfloat16", marks=pytest.mark.large),
        "mixed_float16",
    ],
)
def test_mixed_precision_trains_with_a_head_in_float32(config, precision):
    mixed = config({"precision": precision}, learning_rate=1e-3)
    detector = trained(mixed, steps=2)
    assert all(w.dtype == "float32" for w in detector.weights)
    found = detector(drawn(2)[0])
    assert {v.dtype.name for v in found.values()} == {"float32"}
    assert all(np.isfinite(v).all() for v in found.values())
    assert np.isfinite(detector.history.history["loss"][0])


def names(model):
    return [(w.path, tuple(w.shape)) for w in model.weights]


def test_the_backbone_is_the_taggers(config):
    detector, tagger = (kind(config(), CLASSES) for kind in (Detector, Tagger))
    assert names(detector.backbone) == names(tagger.backbone)
    parts = [*detector.backbone.weights, *detector.head.weights]
    assert {id(w) for w in parts} == {id(w) for w in detector.weights}
    assert len(parts) == len(detector.weights)
    made = make_model(config(), CLASSES)
    assert isinstance(made, Detector) and names(made) == names(detector)


def test_saved_weights_find_the_same(learned, tmp_path):
    images = drawn(3)[0]
    learned.save_weights(tmp_path / "a.weights.h5")
    again = Detector.from_config(learned.get_config())
    assert not np.allclose(learned(images)["quality"], again(images)["quality"])
    again.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(learned.detect(images), again.detect(images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_export_finds_the_same_in_any_number_of_images(learned, tmp_path):
    archive = keras.export.ExportArchive()
    archive.track(learned)
    archive.add_endpoint(
        "detect",
        learned.detect,
        [tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8)],
    )
    archive.write_out(str(tmp_path / "export"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for count in (1, 5):
        images = drawn(count, seed=2)[0]
        wanted = learned.detect(images)
        assert wanted[1].numpy().max() > 0.0
        for a, b in zip(loaded.detect(images), wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


POINTS = np.float32([[0.5, 0.25, 0.25], [0.5, 0.75, 0.25], [0.5, 0.5, 1.0]])


def raw(scores, distances, quality=30.0):
    """Returns outputs of one image from probabilities [points, classes]."""
    scores = np.array(scores)
    return {
        "classes": tf.constant(np.log(scores / (1 - scores))[None], tf.float32),
        "distances": tf.constant([distances], tf.float32),
        "quality": tf.fill([1, len(scores)], quality),
    }


def detected(outputs, points, classes, kept=KEPT):
    best = module._best_pairs(outputs, points)
    found = module._without_repeats(*best, classes, kept)
    return [each.numpy()[0] for each in found]


def test_boxes_are_suppressed_by_those_of_their_class_alone():
    # The first two points have one box, the third the whole image.
    same = [[1, 1, 1, 1], [1, 3, 1, -1], [1, 1, 1, 1]]
    scores = [[0.81, 0.04], [0.64, 0.49], [0.0016, 0.0016]]
    boxes, scores, classes = detected(raw(scores, same), POINTS, 2)
    # 0.8 and 0.64 of class 0 are one; sqrt(0.0016) is below the least score.
    np.testing.assert_allclose(scores[:3], [0.9, 0.7, 0.0], rtol=1e-5)
    assert classes.tolist() == [0, 1, -1, -1, -1, -1]
    np.testing.assert_allclose(boxes[:2], [[0.25, 0, 0.75, 0.5]] * 2, atol=1e-6)
    assert (boxes[2:] == 0).all()


def test_boxes_end_with_the_image_and_count_by_quality():
    wide = [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0.25]]
    scores = [[1e-6], [1e-6], [0.9]]
    boxes, scores, _ = detected(raw(scores, wide, quality=0.0), POINTS, 1)
    np.testing.assert_allclose(scores[0], np.sqrt(0.9 * 0.5), rtol=1e-5)
    np.testing.assert_allclose(boxes[0], [0, 0, 1, 0.75], atol=1e-6)


def test_many_classes_keep_their_digits():
    classes = 11_166
    rng = np.random.default_rng(0)
    points = grid_points(64, [3])
    scores = np.full((len(points), classes), 1e-4)
    wanted = rng.choice(classes, 20, replace=False)
    rows = rng.choice(len(points), 20, replace=False)
    scores[rows, wanted] = np.linspace(0.5, 0.9, 20)
    distances = np.full((len(points), 4), 0.3)
    boxes, found, labels = detected(
        raw(scores, distances), points, classes, kept=20
    )
    order = np.argsort(-scores[rows, wanted])
    assert labels.tolist() == wanted[order].tolist()
    centres = points[rows[order], :2]
    half = 0.3 / 8
    np.testing.assert_allclose(
        boxes, np.concatenate([centres - half, centres + half], 1), atol=2e-5
    )


def test_points_are_in_the_middle_of_their_squares():
    points = grid_points(40, [3, 4])
    assert points.shape == (25 + 9, 3)
    np.testing.assert_allclose(points[1], [0.1, 0.3, 0.2])
    # The map of 3 x 3 goes past 40 pixels.
    np.testing.assert_allclose(points[-1], [1.0, 1.0, 0.4])


@pytest.mark.parametrize(
    "strides, points",
    [
        # Strides 2 and 4: the last, and one more.
        ((1, 2), 8**2 + 4**2),
        # From stride 8 on, and one more.
        ((2, 2, 2), 4**2 + 2**2 + 1),
        ((2, 2, 2, 2), 4**2 + 2**2 + 1),
    ],
)
def test_maps_from_stride_8_on_and_one_more_if_they_are_few(
    config, strides, points
):
    filters = (8,) * len(strides)
    network = {"blocks": (1,) * len(strides), "filters": filters}
    deep = config({**network, "strides": strides})
    detector = Detector(deep, 1)
    assert len(detector.points) == points
    assert detector.head.output["quality"].shape == (None, points)


def test_a_network_without_a_pyramid_is_refused(config):
    network = NetworkConfig(backbone="MobileNetV2")
    with pytest.raises(InputError, match="backbone must be resnet_v2 with"):
        dataclasses.replace(config(), network=network)


@pytest.mark.large
@pytest.mark.skipif(not VOC.is_dir(), reason=f"{VOC} is not here")
def test_it_learns_real_photographs_by_heart():
    images, boxes, labels, classes = photographs(16, 128)
    config = override(
        tiny_imagenet.get_config(),
        [
            f"head.task={DETECTION}",
            "data.framing=whole",
            "data.image_size=128",
            "schedule.batch_size=8",
            "schedule.learning_rate=1e-3",
            "schedule.warmup=0",
            "schedule.decay=constant",
        ],
    )
    detector = built(config, classes=classes)
    rows = tf.data.Dataset.from_tensor_slices((images, boxes, labels))
    rows = rows.shuffle(16, seed=0).batch(8).repeat()
    detector.fit(rows, steps_per_epoch=120, verbose=0)
    found = precision_at_half(detector, images, boxes, labels, classes)
    assert found > 0.9
