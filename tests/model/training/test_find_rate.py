"""Tests of model.training.find_rate, by real trainings of growing rates."""

import csv
import dataclasses

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.training import find_rate as module
from model.training.rate_options import RateOptions
from model.training.schedules import WarmupThenDecay
from model.training.train import find_rate


def test_the_rate_of_each_step_is_the_one_written_beside_its_loss(tiny_config):
    options = RateOptions(out=None, steps=11, lowest=1e-4, highest=10.0)
    config = module._growing(tiny_config(epochs=1, average=0.9), options)
    rate = WarmupThenDecay(config.schedule, steps_per_epoch=3)
    found = [float(rate(step)) for step in range(11)]
    np.testing.assert_allclose(found, module._rates(options), rtol=1e-4)
    np.testing.assert_allclose(found[5], 10**-1.5, rtol=1e-4)


def test_it_finds_a_rate_and_leaves_nothing_else(
    tiny_config, tiny_dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    options = RateOptions(out=tmp_path / "a", steps=40)
    config = tiny_config(optimizer="adamw", weight_decay=0.0)
    # Its own loss changes with the steps, whatever is learned.
    loss = dataclasses.replace(config.loss, kind="bce", positive_weight=1.0)
    config = dataclasses.replace(config, loss=loss)
    found = find_rate(config, tiny_dataset, options)
    assert 1e-4 < found.least_at < 3
    assert found.suggested == found.least_at / 10
    assert found.smoothed.min() < 0.9 * found.smoothed[0]
    with (tmp_path / "a/rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.losses) <= 40
    again = dataclasses.replace(options, out=tmp_path / "b")
    find_rate(config, tiny_dataset, again)
    for name in ("rates.csv", "rates.png"):
        one, two = (tmp_path / folder / name for folder in "ab")
        assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.glob("tagforest-*"))


def test_rates_that_are_all_too_high(tiny_config, tiny_dataset, tmp_path):
    options = RateOptions(out=tmp_path / "a", lowest=1e6, highest=1e9)
    with pytest.raises(InputError, match="at no learning rate from 1000000.0"):
        find_rate(tiny_config(momentum=0.0), tiny_dataset, options)
    assert not (tmp_path / "a").exists()
