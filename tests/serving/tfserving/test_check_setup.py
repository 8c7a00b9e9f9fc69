from __future__ import annotations

from pathlib import Path

import pytest

from beam_jobs.errors import InputError
from serving.api.models_config import ModelConfig
from serving.api.version_policy import VersionPolicy
from serving.tfserving.check_setup import (
    batching_problems,
    check_setup,
    label_problems,
    read_batch_sizes,
)
from serving.tfserving.options import TfServingSetup
from serving.tfserving.setup import write_setup


@pytest.fixture(name="setup")
def fixture_setup(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    write_setup(tmp_path, TfServingSetup(tmp_path / "m"))
    return tmp_path


def test_what_is_written_is_sound(setup):
    assert check_setup(setup, "tagforest", setup / "m") == []
    assert read_batch_sizes(setup / "batching.config") == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("batching.config", "max_batch_size: 32", "cannot be read"),
        ("batching.config", "max_batch { value: 1 }", "cannot be read"),
        ("monitoring.config", "prometheus_config {}", "no metrics"),
        (
            "monitoring.config",
            'prometheus_config { enable: true path: "m" }',
            "must start with /",
        ),
        ("session.config", "gpu { }", "cannot be read"),
        ("models.config", "model_config_list {}", "no model 'tagforest'"),
        ("models.config", "broken", "is no models.config"),
    ],
)
def test_what_is_wrong(setup, file, text, said):
    (setup / file).write_text(text)
    [problem] = check_setup(setup, "tagforest", setup / "m")
    assert said in problem and file in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", []),
        ("allowed_batch_sizes: 4 allowed_batch_sizes: 1000", []),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            [
                "the last of allowed_batch_sizes must be max_batch_size, 8; "
                "received: [4]"
            ],
        ),
        (
            "max_batch_size { value: 2 } allowed_batch_sizes: 4 "
            "allowed_batch_sizes: 2",
            ["allowed_batch_sizes must ascend; received: [4, 2]"],
        ),
        (
            "enable_large_batch_splitting { value: true } "
            "max_batch_size { value: 8 } max_execution_batch_size { value: 4 } "
            "allowed_batch_sizes: 4",
            [],
        ),
        (
            "max_enqueued_batches { value: 0 }",
            ["max_enqueued_batches must be 1 or more; received: 0"],
        ),
    ],
)
def test_batching(tmp_path, text, said):
    (tmp_path / "b").write_text(text)
    assert list(batching_problems(tmp_path / "b")) == said


def test_labels(tmp_path):
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
    policy = VersionPolicy(specific=(2, 5))
    model = ModelConfig("m", Path("/m"), policy, {"stable": 1, "canary": 2})
    missing, label = label_problems(model, tmp_path)
    assert "versions [5] are not in" in missing
    assert "label stable: version 1" in label and "chooses [2]" in label


def test_a_setup_that_would_not_serve_is_refused(tmp_path):
    for version in ("1", "2"):
        (tmp_path / "m" / version).mkdir(parents=True)
    setup = TfServingSetup(
        tmp_path / "m", labels={"stable": 1}, policy=VersionPolicy()
    )
    with pytest.raises(InputError, match="label stable: version 1"):
        write_setup(tmp_path, setup)
