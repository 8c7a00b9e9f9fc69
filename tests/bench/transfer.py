"""What boxes and masks cost above tags.

`step` is a training step of a detector or a segmenter against a tagger's with
the same backbone: 8 images, as transfer trains, of 128 pixels or of those that
TRANSFER_SIDES names (`128,224`). The segmenter's backbone has its stride of
16, the tagger's its own.

`boxes` is what `detect` does behind the network, an image of 224 pixels;
beside it stands the network. The outputs are drawn and crowded: more points
are certain than may become boxes. One thread: with more it takes as much
together and less on the clock.

`input` is `make_train_dataset` at 224 pixels, for tags, boxes and masks of the
same records, augmented alike: drawn photographs of 500 x 375.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from beam_jobs.dataset import records
from beam_jobs.images import regions
from model.config import Config, override
from model.config_sections import DETECTION, SEGMENTATION, TAGS, HeadConfig
from model.configs import demo, tiny_imagenet
from model.inputs.input_pipeline import make_train_dataset
from model.network.detector import Detector
from model.network.make_model import make_model
from model.training.schedules import make_optimizer

from . import timing
from .input_pipeline import drawn, timed_pass, write_dataset
from .train_step import Block

_ROUNDS = 6
_SECONDS_A_BLOCK = 0.5
_TASKS = (TAGS, DETECTION, SEGMENTATION)
_CLASSES, _OBJECTS, _BATCH = 20, 5, 8
# Of the served graph, and of what it is asked for at once.
_SERVED_CLASSES, _SERVED_BATCHES = (20, 1000), (1, 8)
_SERVED_SIDE = 224
_DRAWN, _IMAGES, _INPUT_BATCH = 64, 512, 32
_WIDTH, _HEIGHT = 500, 375
_COMMON = {
    # What boxes and masks ask for.
    "data.framing": "whole",
    "data.rotation_probability": 0,
    "schedule.batch_size": _BATCH,
    "loss.kind": "bce",
}


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Steps, then boxes, then the input."""
    rounds = 1 if short else _ROUNDS
    sides = os.environ.get("TRANSFER_SIDES", "64" if short else "128")
    found = []
    for config in (demo.get_config(), tiny_imagenet.get_config()):
        for side in map(int, sides.split(",")):
            found += steps(config, side, rounds)
    for classes in _SERVED_CLASSES:
        for batch in _SERVED_BATCHES:
            found.append(boxes(classes, batch, rounds))
    return [*found, *inputs(folder / "dataset", rounds)]


def steps(config: Config, side: int, rounds: int) -> list[timing.Comparison]:
    """Compares the tasks' training steps with the tagger's."""
    batches = _batches(side)
    arms = {
        task: Block(
            _compiled(_of_task(config, task, side)),
            batches[task],
            seconds=_SECONDS_A_BLOCK,
        )
        for task in _TASKS
    }
    took = timing.interleave(arms, rounds)
    return [
        timing.compare_times(
            f"transfer {task} step, {config.name} at {side}",
            {timing.BARE: took[TAGS], timing.OURS: took[task]},
        )
        for task in (DETECTION, SEGMENTATION)
    ]


def _of_task(config: Config, task: str, side: int) -> Config:
    chosen = {**_COMMON, "data.image_size": side, "head.task": task}
    return override(config, [f"{k}={v}" for k, v in chosen.items()])


def _compiled(config: Config) -> keras.Model:
    model = make_model(config, _CLASSES)
    model.compile(
        optimizer=make_optimizer(config.schedule, 100), jit_compile=False
    )
    return model


def _batches(side: int) -> dict[str, tf.data.Dataset]:
    """Returns one batch for each task, again and again."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_BATCH, side, side, 3), np.uint8)
    most = HeadConfig().boxes
    low = rng.uniform(0, 0.6, (_BATCH, most, 2))
    corners = [low, low + rng.uniform(0.05, 0.4, low.shape)]
    labels = rng.integers(0, _CLASSES, (_BATCH, most), np.int32)
    # The rest fills up.
    labels[:, _OBJECTS:] = -1
    ids = rng.integers(0, _CLASSES + 1, (_BATCH, side, side), np.uint8)
    targets = {
        TAGS: ((rng.random((_BATCH, _CLASSES)) < 0.1).astype(np.int8),),
        DETECTION: (np.concatenate(corners, -1).astype(np.float32), labels),
        SEGMENTATION: (ids,),
    }
    return {
        task: tf.data.Dataset.from_tensors((images, *values)).repeat()
        for task, values in targets.items()
    }


def boxes(classes: int, batch: int, rounds: int) -> timing.Comparison:
    """Times the network and, by itself, what makes boxes of its outputs.

    Not as a difference: the network's own spread is more than that.
    """
    config = _of_task(tiny_imagenet.get_config(), DETECTION, _SERVED_SIDE)
    detector = Detector(config, classes)
    network = tf.function(lambda images: detector(images, training=False))
    boxes_of = tf.function(detector.boxes_of)
    images = tf.zeros([batch, _SERVED_SIDE, _SERVED_SIDE, 3], tf.uint8)
    outputs = _crowded(network(images))
    took = timing.interleave(
        {
            timing.BARE: timing.repeated(lambda: network(images), batch, 0.3),
            timing.OURS: timing.repeated(lambda: boxes_of(outputs), batch, 0.3),
        },
        rounds,
    )
    found = timing.compare_times(
        f"transfer boxes, {classes} classes, batch {batch}", took
    )
    return replace(found, what="added ms", result=found.ours)


def _crowded(outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns drawn outputs of the same shapes."""
    rng = np.random.default_rng(0)

    def normal(name, mean, spread):
        return rng.normal(mean, spread, outputs[name].shape).astype(np.float32)

    drawn_ones = {
        "classes": normal("classes", -4, 2),
        "distances": np.exp(normal("distances", 0, 0.5)),
        "quality": normal("quality", 0, 1),
    }
    return {name: tf.constant(values) for name, values in drawn_ones.items()}


def inputs(folder: Path, rounds: int) -> list[timing.Comparison]:
    """Compares the training input of the tasks."""
    rng = np.random.default_rng(0)
    photographs = [drawn(i) for i in range(_DRAWN)]
    found = [_regions(rng) for _ in range(_DRAWN)]
    picks = [i % _DRAWN for i in range(_IMAGES)]
    write_dataset(
        folder,
        [photographs[i] for i in picks],
        rng.random((_IMAGES, _CLASSES)) < 0.1,
        [found[i] for i in picks],
    )
    config = _of_task(tiny_imagenet.get_config(), DETECTION, _SERVED_SIDE)
    arms = {
        task: timed_pass(
            make_train_dataset(
                folder,
                config.data,
                classes=_CLASSES,
                batch_size=_INPUT_BATCH,
                epochs=1,
                head=HeadConfig(task),
            ),
            _IMAGES,
        )
        for task in _TASKS
    }
    took = timing.interleave(arms, rounds)
    return [
        timing.compare_rates(
            f"transfer {task} input",
            "images",
            {timing.BARE: took[TAGS], timing.OURS: took[task]},
            {"KB a photograph": np.mean([*map(len, photographs)]) / 1000},
        )
        for task in (DETECTION, SEGMENTATION)
    ]


def _regions(rng: np.random.Generator) -> tf.train.Example:
    """Returns the size, boxes and mask of a record: ellipses with an edge."""
    size = np.array([_HEIGHT, _WIDTH])
    low = rng.uniform(0, 0.6, (_OBJECTS, 2))
    corners = np.concatenate([low, low + rng.uniform(0.05, 0.4, low.shape)], 1)
    classes = rng.integers(0, _CLASSES, _OBJECTS)
    mask = Image.new("L", (_WIDTH, _HEIGHT))
    draw = ImageDraw.Draw(mask)
    for (top, left, bottom, right), index in zip(
        corners * [*size, *size], classes, strict=True
    ):
        draw.ellipse(
            (left, top, right, bottom), int(index) + 1, regions.VOID, 5
        )
    example = tf.train.Example()
    feature = example.features.feature
    feature[records.IMAGE_HEIGHT].int64_list.value.append(_HEIGHT)
    feature[records.IMAGE_WIDTH].int64_list.value.append(_WIDTH)
    feature[records.OBJECT_CLASS].int64_list.value.extend(classes)
    feature[records.OBJECT_FLAG].int64_list.value.extend([0] * _OBJECTS)
    feature[records.OBJECT_BOX].float_list.value.extend(corners.ravel())
    png = regions.write_mask(np.asarray(mask))
    feature[records.IMAGE_MASK].bytes_list.value.append(png)
    return example
