"""Tests of model.config: validation, JSON, lookup, overrides."""

import dataclasses
import json

import pytest

from beam_jobs.errors import InputError
from model.config import (
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
    config_names,
    load_config,
    override,
)


def test_defaults_are_the_papers():
    config = load_config("paper_resnet101")
    assert config.network.blocks == (3, 4, 23, 3)
    assert config.data.crop_area == (0.5, 1.0)
    assert config.schedule.batch_size == 4096


@pytest.mark.parametrize("name", config_names())
def test_shipped_config_survives_json(name):
    config = load_config(name)
    assert config.name == name
    assert Config.from_json(config.to_json()) == config


def test_shipped_names():
    assert {
        "demo",
        "paper_resnet101",
        "released_resnet101",
        "tiny_imagenet",
    } <= set(config_names())


@pytest.mark.parametrize(
    ("section", "field", "value", "allowed"),
    [
        (DataConfig, "image_size", 4, "from 8 to 4096"),
        (DataConfig, "flip_probability", 1.5, "from 0 to 1"),
        (DataConfig, "crop_area", (1.0, 0.5), "least, largest"),
        (DataConfig, "unknown", "maybe", "one of negative, ignore"),
        (LossConfig, "kind", "hinge", "one of paper, released, bce"),
        (LossConfig, "positive_weight", 0.0, "over 0"),
        (LossConfig, "negative_ratio", "all", "type float | None"),
        (ScheduleConfig, "unit", "days", "one of epochs, examples, steps"),
        (NetworkConfig, "block", "wide", "one of basic, bottleneck"),
        (NetworkConfig, "blocks", (3, 4), "one value a stage"),
        (NetworkConfig, "filters", (2, 4, 8, 16), "multiples of 4"),
        (NetworkConfig, "stem_kernel", 7.5, "a value of type int"),
        (LossConfig, "decay", 2.0, "from 0 to 1"),
        (LossConfig, "reduction", "max", "one of mean, sum"),
        (NetworkConfig, "blocks", (1, 2.5), "type tuple[int, ...]; "),
        (ScheduleConfig, "batch_size", 0, "over 0"),
        (ScheduleConfig, "epochs", True, "a value of type int"),
        (ScheduleConfig, "learning_rate", float("nan"), "type float"),
        (
            ScheduleConfig,
            "optimizer",
            "adagrad",
            "one of sgd, adamw, lamb, lion",
        ),
    ],
)
def test_wrong_value_names_the_field(section, field, value, allowed):
    with pytest.raises(InputError) as error:
        section(**{field: value})
    assert field in str(error.value)
    assert allowed in str(error.value)
    assert "received" in str(error.value)


def test_override_sets_numbers_words_and_tuples():
    config = override(
        load_config("demo"),
        ["schedule.epochs=3", "loss.kind=bce", "seed=7"]
        + ["data.crop_area=(0.9, 1.0)"],
    )
    assert config.schedule.epochs == 3
    assert config.loss.kind == "bce"
    assert config.seed == 7
    assert config.data.crop_area == (0.9, 1.0)


def test_kind_of_loss_brings_its_own_switches():
    paper = load_config("paper_resnet101")
    for kind, switches in {
        "paper": (12.0, 0.1, 5.0, "mean"),
        "released": (12.0, 0.1, 0.0, "sum"),
        "bce": (1.0, 1.0, 0.0, "mean"),
        "focal": (1.0, 1.0, 0.0, "mean"),
        "asymmetric": (1.0, 1.0, 0.0, "mean"),
    }.items():
        config = override(paper, [f"loss.kind={kind}"])
        assert dataclasses.astuple(config.loss.switches) == switches
    changes = ["loss.kind=bce", "loss.positive_weight=12.0"]
    assert override(paper, changes).loss.switches.positive_weight == 12.0
    config = override(paper, ["loss.reduction=sum"])
    config = override(config, ["loss.reduction=None"])
    assert config.loss.switches.reduction == "mean"


def test_batch_divides_into_the_accumulation_steps():
    assert ScheduleConfig(accumulation_steps=64).accumulation_steps == 64
    with pytest.raises(InputError, match="multiple of .*accumulation_steps"):
        ScheduleConfig(accumulation_steps=3)


@pytest.mark.parametrize(
    "change",
    ["schedule.epoch=3", "epochs=3", "seed", "data=1", "schedule.epochs=x"],
)
def test_override_refuses(change):
    with pytest.raises(InputError):
        override(load_config("demo"), [change])


def test_override_suggests_the_nearest_field():
    with pytest.raises(InputError, match="did you mean schedule.epochs"):
        override(load_config("demo"), ["schedule.epoch=3"])


def test_a_field_of_earlier_versions_is_passed_over():
    values = json.loads(Config().to_json())
    values["data"]["shuffle_buffer"] = 65536
    assert Config.from_json(json.dumps(values)) == Config()


def test_what_changes_no_result_is_left_out_of_what_is_compared():
    other = override(
        Config(),
        ["data.read_ahead=64", "data.skip_damaged=0.1", "checkpoint.keep=9"],
    )
    assert other.to_result_json() == Config().to_result_json()
    other = override(Config(), ["data.streams=64"])
    assert other.to_result_json() != Config().to_result_json()


def test_from_json_refuses_an_unknown_field_by_name():
    text = load_config("demo").to_json().replace("momentum", "momentous", 1)
    with pytest.raises(InputError, match="momentous"):
        Config.from_json(text)


@pytest.mark.parametrize("text", ["{", "[]", '{"data": 3}'])
def test_from_json_refuses_other_content(text):
    with pytest.raises(InputError):
        Config.from_json(text)


def test_load_config_from_files(tmp_path):
    config = dataclasses.replace(load_config("demo"), seed=5)
    (tmp_path / "mine.json").write_text(config.to_json())
    (tmp_path / "mine.py").write_text(
        "from model.config import Config\n"
        "def get_config():\n    return Config(name='mine', seed=6)\n"
    )
    (tmp_path / "empty.py").write_text("")
    assert load_config(tmp_path / "mine.json") == config
    assert load_config(tmp_path / "mine.py").seed == 6
    with pytest.raises(InputError, match="get_config"):
        load_config(tmp_path / "empty.py")
    with pytest.raises(InputError, match="no such config file"):
        load_config(tmp_path / "absent.py")
    with pytest.raises(InputError, match="demo"):
        load_config("demmo")


def test_layer_decay_goes_by_stages():
    config = load_config("tiny_imagenet")
    made = override(config, ["schedule.layer_decay=0.5"])
    assert made.schedule.layer_decay == 0.5
    with pytest.raises(InputError, match="layer_decay must be 1 without res"):
        override(made, ["network.backbone=ResNet50V2"])
