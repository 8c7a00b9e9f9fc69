"""The tagger's own training step against Keras' `fit` with plain BCE.

Same network, batch, optimizer and batches in memory; the difference is the
adaptive loss and the step around it. Twice: the demo's network with the
drawn scenes' classes, and the one for photographs with 11,166. `watched` is
ours with what a training has at each step besides: the watch for NaN, and the
curves and histograms of TensorBoard as often as by default. And ours against
itself with Keras' convolutions and batch normalization.

CPU seconds of one thread. With a thread a core, every operation waits for the
slowest of them: beside other work the same step took 0.06 to 0.71 s on the
clock, but 0.10 to 0.14 s of CPU time, and the ratio of blocks was 0.22 to 4.83.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.config import Config, override
from model.configs import demo, tiny_imagenet
from model.monitoring import tensorboard
from model.network.batch_norm import BatchNormalization
from model.network.conv import Conv2D
from model.network.resnet import build_backbone
from model.network.tagger import Tagger
from model.training.divergence import StopOnNaN
from model.training.schedules import make_optimizer

from . import timing
from .classes import scene_classes

_ROUNDS = 8
_WATCHED = "watched"
_SECONDS_A_BLOCK = 1.0
_BATCHES = 8
_LABELS_AN_IMAGE = 20
_PUBLISHED_CLASSES = 11_166


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Trains both on the same random batches, block by block."""
    scenes = len(scene_classes()[0])
    found = compare(demo.get_config(), scenes, folder / "demo", short)
    if not short:
        # Keras' own step has no second loss either.
        config = override(tiny_imagenet.get_config(), ["loss.leaf_weight=0"])
        found += compare(config, _PUBLISHED_CLASSES, folder / "tiny")
        found.append(own_layers(config, "mixed_bfloat16"))
    return found


def own_layers(config: Config, precision: str) -> timing.Comparison:
    """Returns our steps a second against those with Keras' layers."""
    config = override(config, [f"network.precision={precision}"])
    bare, ours = (_tagger(config, _PUBLISHED_CLASSES) for _ in range(2))
    for layer in bare.backbone.layers:
        if isinstance(layer, BatchNormalization):
            # The layer that ours begins with, its weights as they are.
            layer.__class__ = keras.layers.BatchNormalization
        if isinstance(layer, Conv2D):
            layer.is_small = lambda shape: False
    data = _batches(config, _PUBLISHED_CLASSES)
    arms = {timing.BARE: bare, timing.OURS: ours}
    blocks = {name: Block(model, data) for name, model in arms.items()}
    took = timing.interleave(blocks, _ROUNDS)
    details = {"batch": config.schedule.batch_size}
    name = f"train_step own layers, {precision}"
    return timing.compare_rates(name, "steps", took, details)


def compare(
    config: Config, classes: int, logs: Path, short: bool = False
) -> list[timing.Comparison]:
    """Returns our steps a second, bare and watched, against Keras' own."""
    data = _batches(config, classes)
    blocks = {
        timing.BARE: Block(_plain(config, classes), data),
        timing.OURS: Block(_tagger(config, classes), data),
        _WATCHED: Block(
            _tagger(config, classes), data, _watchers(config, logs)
        ),
    }
    took = timing.interleave(blocks, 1 if short else _ROUNDS)
    details = {"batch": config.schedule.batch_size, "classes": classes}
    return [
        timing.compare_rates(
            f"train_step {config.name}{kind}",
            "steps",
            {timing.BARE: took[timing.BARE], timing.OURS: took[arm]},
            details,
        )
        for arm, kind in ((timing.OURS, ""), (_WATCHED, ", watched"))
    ]


def _watchers(config: Config, logs: Path) -> list[keras.callbacks.Callback]:
    """Returns what a training does after each step."""
    writer = tensorboard.open_writer(logs, 0)
    size, every = config.schedule.batch_size, config.logging.every
    histograms = config.logging.histograms_every
    return [
        # No step diverges: no batch is read again.
        StopOnNaN(logs, config, 1, _read_nothing),
        tensorboard.Curves(writer, size, every),
        tensorboard.ClassState(writer, config.loss, histograms),
    ]


def _read_nothing(epoch: int, step: int):
    raise RuntimeError(f"epoch {epoch}, step {step} of random data diverged")


class Clock(keras.callbacks.Callback):
    """Counts from the end of the first step of `fit`, which starts the input.

    Attributes:
        took: by the steps after it.
    """

    def on_train_begin(self, logs=None):
        self.took = timing.Took(-1, 0.0, 0.0)
        self._start = (0.0, 0.0)

    def on_train_batch_end(self, batch, logs=None):
        wall, cpu = time.perf_counter(), timing.cpu_seconds()
        if self.took.count < 0:
            self._start = wall, cpu
        steps = self.took.count + 1
        self.took = timing.Took(
            steps, wall - self._start[0], cpu - self._start[1]
        )


class Block:
    """Trains for as many steps as fill some seconds."""

    def __init__(
        self,
        model: keras.Model,
        data: tf.data.Dataset,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        seconds: float = _SECONDS_A_BLOCK,
    ):
        self._model, self._data = model, data
        self._seconds = seconds
        self._callbacks = callbacks
        # The warm-up finds out how many.
        self._steps = 0

    def __call__(self) -> timing.Took:
        if not self._steps:
            self._fit(2)
            few = self._fit(4)
            self._steps = 1 + max(2, round(self._seconds * few.count / few.cpu))
        return self._fit(self._steps)

    def _fit(self, steps: int) -> timing.Took:
        clock = Clock()
        self._model.fit(
            self._data,
            steps_per_epoch=steps,
            verbose=0,
            # Last, so that it sees what the others take.
            callbacks=[*self._callbacks, clock],
        )
        return clock.took


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
        optimizer=make_optimizer(
            config.schedule, 100, config.network.precision
        ),
        jit_compile=False,
    )
    return tagger
