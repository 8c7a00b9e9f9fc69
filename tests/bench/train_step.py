"""The tagger's own training step against Keras' `fit` with plain BCE.

Same network, batch, optimizer and batches in memory; the difference is the
adaptive loss and the step around it.
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.configs import demo
from model.resnet import build_backbone
from model.schedules import make_optimizer
from model.tagger import Tagger

from . import timing
from .classes import scene_classes

_ROUNDS = 5
_SECONDS_A_BLOCK = 5.0
_MANY = 1_000_000
_BATCHES = 8
_LABELS_AN_IMAGE = 20


def run(folder: Path) -> list[timing.Comparison]:
    """Trains both on the same random batches, block by block."""
    config = demo.get_config()
    classes = len(scene_classes()[0])
    data = _batches(config, classes)
    plain, tagger = _plain(config, classes), _tagger(config, classes)
    arms = {
        timing.BARE: lambda: steps_per_second(plain, data),
        timing.OURS: lambda: steps_per_second(tagger, data),
    }
    rates = timing.interleave(arms, _ROUNDS)
    details = {"batch": config.schedule.batch_size, "classes": classes}
    return [timing.compare_rates("train_step", "steps/s", rates, details)]


class Clock(keras.callbacks.Callback):
    """Ends `fit` after some seconds, counted from the end of its first step.

    Attributes:
        steps: after the first.
        seconds: that they took.
    """

    def on_train_begin(self, logs=None):
        self.steps, self.seconds, self._start = -1, 0.0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self._start = self._start or now
        self.steps += 1
        self.seconds = now - self._start
        if self.seconds >= _SECONDS_A_BLOCK:
            self.model.stop_training = True


def steps_per_second(model: keras.Model, data: tf.data.Dataset) -> float:
    """Returns the steps a second of one block of training."""
    clock = Clock()
    model.fit(data, steps_per_epoch=_MANY, verbose=0, callbacks=[clock])
    return clock.steps / clock.seconds


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
