"""Tests of model.training.small_data."""

import json

import pytest

from beam_jobs.errors import InputError
from model.config import load_config
from model.training.small_data import fitted


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [
        (21_739, 256, 23),
        (6_000, 256, 27),
        (5_119, 128, 23),
        (1_000, 32, 23),
        (161, 8, 30),
        (40, 8, 120),
        # Refused by the training, with what it needs.
        (3, 8, 600),
    ],
)
def test_batches_shrink_and_epochs_grow(
    tmp_path, capsys, images, batch, epochs
):
    manifest = {"splits": {"train": {"images": images}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    config = load_config("tiny_imagenet")
    schedule = fitted(config, tmp_path).schedule
    assert (schedule.batch_size, schedule.epochs) == (batch, epochs)
    said = f"{images} images are few: batches of {batch} and {epochs} epochs"
    assert (said in capsys.readouterr().err) == (images < 10_000)


def test_data_of_unknown_size_leave_it(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    config = load_config("tiny_imagenet")
    assert fitted(config, tmp_path) == config
    with pytest.raises(InputError, match="is no data set"):
        fitted(config, tmp_path / "absent")
