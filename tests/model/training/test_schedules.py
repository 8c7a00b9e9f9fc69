"""Tests of model.training.schedules against the paper's numbers."""

import keras
import numpy as np
import pytest

from model.config import ScheduleConfig
from model.training.schedules import (
    WarmupThenDecay,
    layer_factors,
    make_optimizer,
)


def rate_at_epoch(schedule, epoch):
    return float(schedule(int(epoch * schedule.steps_per_epoch)))


def test_papers_schedule():
    schedule = WarmupThenDecay(ScheduleConfig(), steps_per_epoch=300)
    expected = {0: 0.01, 1: 0.01297, 2: 0.01682, 7: 0.06169, 8: 0.08}
    expected |= {24: 0.08, 25: 0.008, 49: 0.008, 50: 0.0008}
    for epoch, rate in expected.items():
        assert rate_at_epoch(schedule, epoch) == pytest.approx(rate, rel=1e-3)


def test_warm_up_of_step_decay_is_in_stairs():
    schedule = WarmupThenDecay(ScheduleConfig(), steps_per_epoch=7)
    rates = [float(schedule(step)) for step in range(21)]
    assert len(set(np.round(rates, 6))) == 3
    assert rates[6] == pytest.approx(0.01)
    assert rates[7] == pytest.approx(0.01297, rel=1e-3)


def test_released_boundaries_in_steps():
    config = ScheduleConfig(unit="steps", warmup=35200.0, decay_every=110000.0)
    schedule = WarmupThenDecay(config, steps_per_epoch=17)
    expected = {0: 0.01, 4399: 0.01, 4400: 0.01297, 35199: 0.0617}
    expected |= {35200: 0.08, 109999: 0.08, 110000: 0.008, 220000: 8e-4}
    expected |= {330000: 8e-5, 439999: 8e-5, 440000: 8e-6}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-3), step


def test_units_agree():
    # 100 steps of 4,096 images in an epoch.
    by_unit = {
        "epochs": (2.0, 5.0),
        "examples": (2 * 409_600.0, 5 * 409_600.0),
        "steps": (200.0, 500.0),
    }
    rates = []
    for unit, (warmup, every) in by_unit.items():
        config = ScheduleConfig(unit=unit, warmup=warmup, decay_every=every)
        schedule = WarmupThenDecay(config, steps_per_epoch=100)
        rates.append([float(schedule(step)) for step in range(0, 1100, 25)])
    assert rates[0] == rates[1] == rates[2]
    assert rates[0][0] == pytest.approx(0.01)
    assert rates[0][-1] == pytest.approx(0.0008)


def test_cosine():
    config = ScheduleConfig(
        decay="cosine", epochs=5, warmup=1.0, learning_rate=1.0, warmup_stairs=0
    )
    schedule = WarmupThenDecay(config, steps_per_epoch=10)
    assert rate_at_epoch(schedule, 0) == pytest.approx(0.01)
    assert rate_at_epoch(schedule, 0.5) == pytest.approx(0.1)
    assert rate_at_epoch(schedule, 1) == pytest.approx(1.0)
    assert rate_at_epoch(schedule, 3) == pytest.approx(0.5)
    assert rate_at_epoch(schedule, 5) == pytest.approx(0.0, abs=1e-6)


def test_constant_without_warm_up():
    config = ScheduleConfig(decay="constant", warmup=0.0)
    schedule = WarmupThenDecay(config, steps_per_epoch=10)
    assert float(schedule(0)) == float(schedule(1000)) == pytest.approx(0.08)


def test_serialization():
    schedule = WarmupThenDecay(ScheduleConfig(epochs=9), steps_per_epoch=4)
    again = WarmupThenDecay.from_config(schedule.get_config())
    assert again.config == schedule.config
    assert float(again(5)) == float(schedule(5))


def test_optimizers():
    sgd = make_optimizer(ScheduleConfig(), 10)
    assert isinstance(sgd, keras.optimizers.SGD)
    assert sgd.momentum == 0.9
    adamw = make_optimizer(ScheduleConfig(optimizer="adamw"), 10)
    assert isinstance(adamw, keras.optimizers.AdamW)
    assert adamw.weight_decay == 1e-4


def test_each_layer_belongs_to_its_stage():
    paths = {
        "stem_conv/kernel": 0.125,
        "resnet/stage1_block1_1_bn/gamma": 0.25,
        "stage2_block10_shortcut_conv/kernel": 0.5,
        "stage3_block1_2_conv/kernel": 1.0,
        "final_bn/beta": 1.0,
        "head/kernel": 1.0,
    }
    assert layer_factors(list(paths), 0.5) == list(paths.values())
    # Where lower stages are frozen, the rest has what it had.
    assert layer_factors(list(paths)[2:], 0.5) == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_rate_falls_from_stage_to_stage(name, precision):
    """A first step of both is the rate: the gradient is 1, or its sign."""
    config = ScheduleConfig(
        optimizer=name,
        learning_rate=0.5,
        warmup=0.0,
        decay="constant",
        weight_decay=0.0,
        layer_decay=0.1,
    )
    names = ("stem_conv", "stage1_block1_1_bn", "stage2_block1_1_bn", "head")
    weights = [keras.Variable(np.zeros(2), name=f"{n}_w") for n in names]
    optimizer = make_optimizer(config, 100, precision)
    optimizer.build(weights)
    ones = [optimizer.scale_loss(np.ones(2, np.float32)) for _ in weights]
    optimizer.apply_gradients(zip(ones, weights, strict=True))
    found = [float(w.numpy()[0]) for w in weights]
    assert found == pytest.approx([-0.005, -0.05, -0.5, -0.5], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        # The sign of the gradient.
        ("lion", [-0.5, 0.5]),
        # Its first moments over the root of its second are signs, too; times
        # the norm of the weights over that of the signs, 1 of 2 ** 0.5.
        ("lamb", [-0.5 / 2**0.5, 0.5 / 2**0.5]),
    ],
)
def test_a_first_step_of_lion_and_lamb(name, step):
    config = ScheduleConfig(
        optimizer=name,
        learning_rate=0.5,
        warmup=0.0,
        decay="constant",
        weight_decay=0.0,
    )
    weight = keras.Variable(np.float32([1.0, 0.0]), name="kernel")
    optimizer = make_optimizer(config, 100)
    optimizer.apply([np.float32([3.0, -0.2])], [weight])
    np.testing.assert_allclose(
        weight.numpy(), np.add([1.0, 0.0], step), rtol=1e-4
    )
