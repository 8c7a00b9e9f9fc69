"""The adaptive loss and the comparison losses against plain cross-entropy.

Forward and backward over random logits of 11,166 classes. Ours does all that
a training step does for the loss: counts, draws, plan, kept negatives, sum,
gradient, and the new state. Plain is the mean of TensorFlow's own weighted
cross-entropy, compiled (`jit_compile`) and not. CPU seconds of one thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model.config import LossConfig
from model.losses.multi_label_loss import MultiLabelLoss
from model.network import replicas

from . import timing

_CLASSES = 11_166
_BATCHES = (32, 64, 128, 256)
_KINDS = ("paper", "released", "bce", "focal", "asymmetric")
_ROUNDS = 12
_SECONDS_A_BLOCK = 0.2
# Labels of an image: some of the frequent classes, a few of all.
_FREQUENT, _RARE = (8, 0.5), 5
_COMPILED, _PLAIN = "compiled", "uncompiled"

Step = Callable[[tf.Tensor, tf.Tensor], Any]


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Times the paper's loss at every batch, the others at the largest."""
    del folder
    if short:
        return compare(min(_BATCHES), _KINDS[:1], rounds=1)
    found = []
    for batch in _BATCHES:
        kinds = _KINDS if batch == max(_BATCHES) else _KINDS[:1]
        found += compare(batch, kinds)
    return found


def compare(
    batch: int, kinds: tuple[str, ...], rounds: int = _ROUNDS
) -> list[timing.Comparison]:
    """Returns each kind against the plain loss, compiled and not."""
    data = _data(batch)
    steps = {kind: adaptive_step(LossConfig(kind=kind)) for kind in kinds}
    steps[_COMPILED] = plain_step(compiled=True)
    steps[_PLAIN] = plain_step(compiled=False)
    arms = {name: arm(step, data) for name, step in steps.items()}
    took = timing.interleave(arms, rounds)
    return [
        timing.compare_times(
            f"loss {kind} {batch}, {bare}",
            {timing.BARE: took[bare], timing.OURS: took[kind]},
        )
        for kind in kinds
        for bare in (_COMPILED, _PLAIN)
    ]


def arm(step: Step, data: tuple[tf.Tensor, tf.Tensor]) -> timing.Arm:
    """Returns calls of a step, each waited for."""
    call = functools.partial(step, *data)
    return timing.repeated(lambda: call()[0].numpy(), seconds=_SECONDS_A_BLOCK)


def plain_step(compiled: bool) -> Step:
    """Returns a function from targets and logits to loss and gradient."""

    @tf.function(jit_compile=compiled)
    def step(targets, logits):
        truth = tf.cast(targets, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = tf.nn.weighted_cross_entropy_with_logits(truth, logits, 12.0)
            mean = tf.reduce_mean(loss)
        return mean, tape.gradient(mean, logits)

    return step


def adaptive_step(config: LossConfig) -> Step:
    """Returns the same for a loss of ours; it keeps state between calls."""
    loss_fn = MultiLabelLoss(config)
    runs = tf.Variable(tf.zeros((2, _CLASSES)))
    number = tf.Variable(0, dtype=tf.int64)

    @tf.function(jit_compile=True)
    def step(targets, logits):
        positives, negatives, images = replicas.global_counts(targets, False)
        places, *draws = replicas.loss_draws(0, number, images, targets)
        plan, after = loss_fn.make_plan(positives, negatives, runs, draws)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = loss_fn.plan_loss(targets, logits, plan, places)
        slope = tape.gradient(loss, logits)
        runs.assign(after)
        number.assign_add(1)
        return loss, slope

    return step


def _data(batch: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns int8 targets and logits, [batch, classes]."""
    rng = np.random.default_rng(0)
    frequent, probability = _FREQUENT
    targets = rng.random((batch, _CLASSES)) < _RARE / _CLASSES
    targets[:, :frequent] |= rng.random((batch, frequent)) < probability
    logits = rng.normal(-3.0, 2.0, targets.shape)
    return (
        tf.constant(targets.astype(np.int8)),
        tf.constant(logits.astype(np.float32)),
    )
