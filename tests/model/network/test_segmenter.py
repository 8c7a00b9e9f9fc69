"""Tests of model.network.segmenter on drawn squares."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.images.regions import VOID
from model.config import HeadConfig, NetworkConfig, StartConfig
from model.configs import tiny_imagenet
from model.evaluation.mean_iou import MaskCounts
from model.network.make_model import make_model
from model.network.segmenter import Segmenter, mask_of
from model.network.tagger import Tagger
from model.training import schedules
from tests.helpers.shared_data import FOLDER

VOC = FOLDER / "voc2012" / "VOC2012"

CLASSES, SIDE, BATCH = 2, 32, 8
NETWORK = NetworkConfig(
    block="basic",
    blocks=(1,),
    filters=(16,),
    strides=(2,),
    stem_filters=8,
    stem_kernel=3,
)
TWO_STAGES = {"blocks": (1, 1), "filters": (16, 32), "strides": (2, 2)}
COLOURS = np.array([[230, 40, 40], [40, 60, 230]])


def drawn(count, side=SIDE, seed=0):
    """Returns images and masks: a red (1) or blue (2) square on noise.

    Around it lies a pixel of void; the second half of a batch has more.
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 200, (count, side, side, 3)).astype(np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    for place in range(count):
        size = rng.integers(side // 3, side // 2)
        top, left = rng.integers(1, side - size, 2)
        kind = place % CLASSES
        inner = (slice(top, top + size), slice(left, left + size))
        outer = (slice(top - 1, top + size + 1), slice(left - 1, left + size))
        masks[place][outer] = VOID
        masks[place][inner] = kind + 1
        images[place][inner] = COLOURS[kind]
        if place % BATCH >= BATCH // 2:
            masks[place, : side // 3] = VOID
    return images, masks


def config_of(tiny_config, network=None, start=None, side=SIDE, **schedule):
    config = tiny_config(optimizer="adamw", learning_rate=5e-3, **schedule)
    return dataclasses.replace(
        config,
        data=dataclasses.replace(
            config.data,
            image_size=side,
            framing="whole",
            rotation_probability=0.0,
        ),
        network=dataclasses.replace(NETWORK, **(network or {})),
        head=HeadConfig(task="segmentation", filters=16),
        start=start or StartConfig(),
    )


def compiled(config, steps=1):
    """Returns a segmenter whose backbone's statistics are frozen."""
    keras.utils.set_random_seed(0)
    model = Segmenter(config, CLASSES)
    for layer in model.backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    optimizer = schedules.make_optimizer(
        config.schedule, steps, config.network.precision
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def trained(config, strategy=None, steps=3, data=None):
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = compiled(config, steps)

    def make(context):
        rows = tf.data.Dataset.from_tensor_slices(data or drawn(2 * BATCH))
        size = BATCH // context.num_replicas_in_sync
        return rows.repeat().batch(size, drop_remainder=True)

    rows = strategy.distribute_datasets_from_function(make)
    model.fit(rows, epochs=1, steps_per_epoch=steps, verbose=0)
    return model


def assert_equal_weights(one, two, tolerance=1e-4):
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(
            a.numpy(), b.numpy(), rtol=1e-3, atol=tolerance, err_msg=a.path
        )


@pytest.fixture(name="one", scope="module")
def fixture_one(tiny_config):
    """Returns a segmenter after three steps on one device."""
    return trained(config_of(tiny_config))


def miou(model, images, masks, training):
    counts = MaskCounts(CLASSES)
    for logits, mask in zip(
        model(images, training=training), masks, strict=True
    ):
        counts.add(mask, mask_of(logits, *mask.shape).numpy())
    return counts.figures().mean_iou


def test_it_learns_and_infers_as_it_trains(tiny_config):
    data = drawn(2 * BATCH)
    config = config_of(tiny_config, TWO_STAGES)
    model = trained(config, steps=60, data=data)
    inferred = miou(model, *data, training=False)
    assert inferred > 0.8
    assert inferred == pytest.approx(miou(model, *data, training=True))
    assert miou(model, *drawn(BATCH, seed=1), training=False) > 0.7


def test_two_replicas_equal_one(one, tiny_config, two_replicas):
    # Their halves of a batch have unequal numbers of valid pixels.
    assert_equal_weights(one, trained(config_of(tiny_config), two_replicas))


def test_parts_equal_the_whole(one, tiny_config):
    config = config_of(tiny_config, accumulation_steps=2)
    assert_equal_weights(one, trained(config))


def test_a_batch_of_void_changes_nothing_but_by_decay(tiny_config):
    model = compiled(config_of(tiny_config, weight_decay=0.0))
    before = [w.numpy() for w in model.weights]
    images, masks = drawn(BATCH)
    logs = model.train_step((images, np.full_like(masks, VOID)))
    assert float(logs["loss"][0]) == float(logs["gradient_norm"][0]) == 0
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_bfloat16_trains_with_float32_logits(tiny_config):
    precise = {"precision": "mixed_bfloat16"}
    data = drawn(BATCH)
    model = trained(config_of(tiny_config, precise), steps=25, data=data)
    logits = model(data[0])
    assert logits.dtype == tf.float32
    # Of the epoch's last steps; at first it does not know three ids apart.
    assert model.watch.seen().losses[-1] < 0.5 * np.log(3)
    assert {w.dtype for w in model.head.weights} == {"float32"}


def test_backbone_has_the_taggers_weights(tiny_config):
    strides = {"strides": (2, 2, 2, 2), "blocks": (1, 1, 1, 2)}
    config = config_of(
        tiny_config, {**strides, "filters": (8, 8, 16, 16), "stem_kernel": 7}
    )
    model, tagger = make_model(config, CLASSES), Tagger(config, CLASSES)
    names = [(w.path, w.shape) for w in tagger.backbone.weights]
    assert [(w.path, w.shape) for w in model.backbone.weights] == names
    model.backbone.set_weights(tagger.backbone.get_weights())
    ours = {id(w) for w in (*model.backbone.weights, *model.head.weights)}
    assert {id(w) for w in model.weights} == ours


@pytest.mark.parametrize(
    ("side", "network", "low", "last"),
    [
        # As the paper, the demo and tiny_imagenet: 4, and 16 at most.
        (64, {"stem_stride": 2, "strides": (2, 2, 2, 2)}, 16, 4),
        (64, {"stem_stride": 4, "strides": (1, 2, 2, 2)}, 16, 4),
        (64, {"stem_stride": 2, "strides": (2, 2, 2)}, 16, 4),
        # No multiples of 32; stages of one stride; nothing at 4; one stage.
        (50, {"stem_stride": 2, "strides": (2, 2, 2, 2)}, 13, 4),
        (33, {"stem_stride": 2, "strides": (2, 1, 2)}, 9, 5),
        (64, {"stem_stride": 4, "strides": (2, 2)}, 8, 4),
        (20, {"stem_stride": 2, "strides": (2,)}, 5, 5),
    ],
)
def test_maps_of_many_networks_and_sizes(tiny_config, side, network, low, last):
    stages = len(network["strides"])
    network |= {"blocks": (1,) * stages, "filters": (8, 16, 24, 32)[:stages]}
    model = Segmenter(config_of(tiny_config, network, side=side), CLASSES)
    assert [m.shape[1] for m in model.head.inputs] == [low, last]
    logits = model(np.zeros((3, side, side, 3), np.uint8))
    assert logits.shape == (3, low, low, CLASSES + 1)


def test_the_later_of_two_stages_of_one_stride_is_taken(tiny_config):
    network = {"blocks": (1,) * 3, "filters": (8, 16, 24)}
    config = config_of(tiny_config, {**network, "strides": (2, 1, 2)})
    low, last = Segmenter(config, CLASSES).head.inputs
    assert (low.shape[-1], last.shape[-1]) == (16, 24)


def test_uint8_is_scaled_as_float_images_are(one):
    images, _ = drawn(3)
    scaled = images.astype(np.float32) * (2 / 255) - 1
    np.testing.assert_allclose(one(images), one(scaled), atol=1e-5)


def test_applications_are_refused(tiny_config):
    with pytest.raises(InputError, match="backbone must be resnet_v2 with"):
        config_of(tiny_config, {"backbone": "ResNet50V2"})


def test_more_classes_than_ids_are_refused(tiny_config):
    with pytest.raises(InputError, match="at most 254 .* received: 255"):
        Segmenter(config_of(tiny_config), 255)


def test_weights_are_saved_and_loaded(one, tmp_path):
    path = tmp_path / "segmenter.weights.h5"
    one.save_weights(path)
    again = Segmenter.from_config(one.get_config())
    images, _ = drawn(2)
    assert np.abs(again(images) - one(images)).max() > 1e-3
    again.load_weights(path)
    np.testing.assert_array_equal(again(images), one(images))


def test_rows_that_fill_a_batch_count_nowhere(one):
    images, masks = drawn(BATCH)

    def evaluated(*arrays):
        data = tf.data.Dataset.from_tensors(arrays)
        return one.evaluate(data, verbose=0, return_dict=True)

    weights = np.float32([1] * 5 + [0] * 3)
    found = evaluated(images, masks, weights)
    assert found == pytest.approx(evaluated(images[:5], masks[:5]), rel=1e-5)
    assert found["loss"] != pytest.approx(evaluated(images, masks)["loss"])


def test_loss_of_an_evaluation_is_over_all_pixels(one):
    images, masks = drawn(2)
    masks[1, 3:] = VOID
    data = tf.data.Dataset.from_tensors((images, masks))
    found = one.evaluate(data, verbose=0, return_dict=True)["loss"]
    logits = tf.image.resize(one(images), masks.shape[1:])
    logs = tf.nn.log_softmax(logits).numpy()[masks != VOID]
    ids = masks[masks != VOID][:, None]
    expected = -np.take_along_axis(logs, ids, 1).mean()
    assert found == pytest.approx(expected, rel=1e-5)


def test_prior_is_the_bias_of_a_head_that_begins_at_0(tiny_config):
    start = StartConfig(zero_head=True)
    model = Segmenter(config_of(tiny_config, start=start), CLASSES)
    model.set_prior(np.array([3, 0]), 4)
    shares = tf.nn.softmax(model(drawn(1)[0])).numpy()
    # 0 images are taken for a half: 3 to 1/2 of what the background leaves.
    expected = [0.73, 0.27 * 6 / 7, 0.27 / 7]
    np.testing.assert_allclose(
        shares, np.broadcast_to(expected, shares.shape), rtol=1e-5
    )


def test_mask_is_the_best_of_the_resized_logits():
    # The border moves with the logits: from (1, 0) to (0, 3), level at 1/4.
    logits = tf.constant([[[1.0, 0.0], [0.0, 3.0]]])
    found = mask_of(logits, 2, 8)
    # Of the way from the first to the second, at 8: 0 0 1 3 5 7 8 8 eighths.
    assert found.dtype == tf.uint8
    assert found.numpy().tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]] * 2


def test_export_makes_masks_of_any_size_and_number(one, tmp_path):
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
    )
    def masks(images):
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        resized = tf.image.resize(images, (SIDE, SIDE), antialias=True)
        return tf.map_fn(
            lambda logits: mask_of(logits, height, width),
            one(resized * (2 / 255) - 1),
            fn_output_signature=tf.uint8,
        )

    archive = keras.export.ExportArchive()
    archive.track(one)
    archive.add_endpoint("serve", masks)
    archive.write_out(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for shape in ((1, 40, 60, 3), (3, 25, 17, 3)):
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        found = loaded.serve(images).numpy()
        assert found.shape == shape[:3] and found.max() <= CLASSES
        np.testing.assert_array_equal(found, masks(images))


@pytest.mark.large
@pytest.mark.skipif(not VOC.is_dir(), reason=f"{VOC} is not here")
def test_it_learns_sixteen_photographs_by_heart():
    side, steps, names = 128, 120, 20
    masks = [Image.open(p) for p in sorted(VOC.glob("Seg*/*.png"))[:16]]
    images = [
        Image.open(VOC / "JPEGImages" / f"{Path(m.filename).stem}.jpg")
        for m in masks
    ]
    data = (
        np.stack([i.convert("RGB").resize((side, side)) for i in images]),
        np.stack([m.resize((side, side), Image.NEAREST) for m in masks]),
    )
    config = tiny_imagenet.get_config()
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, image_size=side, framing="whole"),
        head=HeadConfig(task="segmentation"),
    )
    keras.utils.set_random_seed(0)
    model = Segmenter(config, names)
    there = [(data[1] == i + 1).any(axis=(1, 2)).sum() for i in range(names)]
    model.set_prior(np.array(there), 16)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(optimizer=keras.optimizers.AdamW(rate), jit_compile=False)
    rows = tf.data.Dataset.from_tensor_slices(data).shuffle(16, seed=1)
    model.fit(rows.batch(8).repeat(steps // 2), verbose=0)
    counts = MaskCounts(names)
    for logits, mask in zip(model(data[0]), masks, strict=True):
        truth = np.asarray(mask)
        counts.add(truth, mask_of(logits, *truth.shape).numpy())
    assert counts.figures().mean_iou > 0.7
