"""The tagger's own training step against Keras' `fit` with plain BCE.

Same network, batch, optimizer and batches in memory; the difference is the
adaptive loss and the step around it. Twice: the demo's network with the
drawn scenes' classes, and the one for photographs with 11,166. Short runs
settle at one of two speeds, so that only many long blocks tell.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.configs import demo, tiny_imagenet
from model.network.resnet import build_backbone
from model.network.tagger import Tagger
from model.training.schedules import make_optimizer

from . import timing
from .classes import scene_classes

_ROUNDS = 10
_SECONDS_A_BLOCK = 5.0
_MANY = 1_000_000
_BATCHES = 8
_LABELS_AN_IMAGE = 20
_PUBLISHED_CLASSES = 11_166


def run(folder: Path) -> list[timing.Comparison]:
    """Trains both on the same random batches, block by block."""
    return [
        compare(demo.get_config(), len(scene_classes()[0])),
        compare(tiny_imagenet.get_config(), _PUBLISHED_CLASSES),
    ]


def compare(config: Config, classes: int) -> timing.Comparison:
    """Returns our steps a second against Keras' own."""
    data = _batches(config, classes)
    blocks = {
        timing.BARE: Block(_plain(config, classes), data),
        timing.OURS: Block(_tagger(config, classes), data),
    }
    rates = timing.interleave(blocks, _ROUNDS)
    details = {
        "batch": config.schedule.batch_size,
        "classes": classes,
        # Other work on the machine counts less here.
        "ratio by CPU": blocks[timing.BARE].cpu() / blocks[timing.OURS].cpu(),
    }
    name = f"train_step {config.name}"
    return timing.compare_rates(name, "steps/s", rates, details)


class Clock(keras.callbacks.Callback):
    """Ends `fit` after some seconds, counted from the end of its first step.

    Attributes:
        steps: after the first.
        seconds, cpu: that they took, on the clock and of all cores.
    """

    def on_train_begin(self, logs=None):
        self.steps, self.seconds, self.cpu = -1, 0.0, 0.0
        self._start = self._cpu_start = 0.0

    def on_train_batch_end(self, batch, logs=None):
        now, cpu = time.perf_counter(), time.process_time()
        self._start = self._start or now
        self._cpu_start = self._cpu_start or cpu
        self.steps += 1
        self.seconds, self.cpu = now - self._start, cpu - self._cpu_start
        if self.seconds >= _SECONDS_A_BLOCK:
            self.model.stop_training = True


class Block:
    """Trains for a while; returns the steps a second."""

    def __init__(self, model: keras.Model, data: tf.data.Dataset):
        self._model, self._data = model, data
        self._cpu: list[float] = []

    def __call__(self) -> float:
        clock = Clock()
        self._model.fit(
            self._data, steps_per_epoch=_MANY, verbose=0, callbacks=[clock]
        )
        self._cpu.append(clock.cpu / clock.steps)
        return clock.steps / clock.seconds

    def cpu(self) -> float:
        """Returns the median CPU seconds of a step."""
        return statistics.median(self._cpu)


def _batches(config: Config, classes: int) -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    shape = (_BATCHES, config.schedule.batch_size)
    side = config.data.image_size
    images = rng.uniform(-1, 1, (*shape, side, side, 3)).astype(np.float32)
    targets = rng.random((*shape, classes)) < _LABELS_AN_IMAGE / classes
    batches = (images, targets.astype(np.int8))
    return tf.data.Dataset.from_tensor_slices(batches).repeat().prefetch(2)


def _plain(config: Config, classes: int) -> keras.Model:
    backbone = build_backbone(config.network, config.data.image_size)
    logits = keras.layers.Dense(classes, dtype="float32")(backbone.output)
    model = keras.Model(backbone.input, logits)
    model.compile(
        optimizer=make_optimizer(config.schedule, 100),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def _tagger(config: Config, classes: int) -> Tagger:
    tagger = Tagger(config, classes)
    tagger.compile(
        optimizer=make_optimizer(config.schedule, 100), jit_compile=False
    )
    return tagger
