"""Tests of model.transfer.recipes."""

import dataclasses

import pytest

from beam_jobs.errors import InputError
from model.config import StartConfig, load_config
from model.training.schedules import WarmupThenDecay
from model.transfer import recipes
from model.transfer.options import RECIPES


def config(batch_size=64):
    made = load_config("tiny_imagenet")
    schedule = dataclasses.replace(made.schedule, batch_size=batch_size)
    start = StartConfig(source="runs/first", take="backbone")
    return dataclasses.replace(made, schedule=schedule, start=start)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_keeps_the_network_and_the_source(name):
    made = recipes.apply(name, config(), 3000)
    assert made.loss.kind == "softmax"
    assert made.network == config().network
    assert made.schedule.batch_size == 64
    assert (made.start.source, made.start.take) == ("runs/first", "backbone")
    # Its three stages are one more than are frozen.
    assert "stage3" not in made.start.freeze


def test_the_rule_of_big_transfer_for_few_images():
    made = recipes.apply("hyperrule", config(512), 3000)
    steps = 3000 // 512
    rate = WarmupThenDecay(made.schedule, steps)
    found = [float(rate(step)) for step in (100, 199, 200, 300, 400, 499)]
    expected = [3e-3, 3e-3, 3e-4, 3e-5, 3e-6, 3e-6]
    assert found == pytest.approx(expected, rel=1e-3)
    assert made.schedule.epochs == 86
    # A batch of 128 has a rate of 0.00075.
    small = recipes.apply("hyperrule", config(128), 3000)
    assert small.schedule.learning_rate == pytest.approx(0.00075)


def test_the_rule_of_big_transfer_for_many_images():
    made = recipes.apply("hyperrule", config(512), 1_281_167)
    assert made.schedule.decay_at == (6000, 12_000, 18_000)
    assert made.schedule.epochs == 8


def test_an_average_of_weights_on_frozen_stages():
    made = recipes.apply("frozen_ema", config(), 3000)
    assert made.start.freeze == ("stem", "stage1", "statistics")
    assert made.loss.label_smoothing == 0.1
    schedule = made.schedule
    assert (schedule.average, schedule.layer_decay) == (0.9998, 0.75)
    # Of keras.applications the stages are not known.
    network = dataclasses.replace(config().network, backbone="ResNet50V2")
    other = dataclasses.replace(config(), network=network)
    made = recipes.apply("frozen_ema", other, 3000)
    assert made.schedule.layer_decay == 1
    assert made.schedule.average == 0.9998


def test_random_weights_have_to_learn():
    plain = dataclasses.replace(config(), start=StartConfig())
    assert recipes.apply("released", plain, 3000).start.freeze == ()
    with pytest.raises(InputError, match="the recipe probe needs something"):
        recipes.apply("probe", plain, 3000)
