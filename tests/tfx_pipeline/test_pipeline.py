import importlib
import json
from dataclasses import replace

import pytest
from tfx.dsl.compiler.compiler import Compiler

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from model.config import CheckpointConfig, load_config
from tfx_pipeline import names
from tfx_pipeline.pipeline import PipelineOptions, create_pipeline

CONFIG = load_config("demo")


def compiled(root="/root", **changes):
    given = {"imagenet": ["images"], "seed": 3, "out": ""}
    options = PipelineOptions(
        root=root,
        model_dir=f"{root}/serving/tagforest",
        dataset=build_options(DatasetOptions, given),
        sources="digest",
        config=CONFIG,
    )
    return Compiler().compile(create_pipeline(replace(options, **changes)))


@pytest.fixture(scope="module")
def whole():
    return compiled()


def nodes(pipeline):
    found = [n.pipeline_node for n in pipeline.nodes]
    return {node.node_info.id: node for node in found}


def parameter(pipeline, component, name):
    parameters = nodes(pipeline)[component].parameters.parameters
    return parameters[name].field_value.string_value


def test_components_run_in_the_order_of_the_work(whole):
    # Nothing is to be tagged.
    assert (*nodes(whole), names.TAGGING) == names.COMPONENTS


def test_the_training_waits_for_the_data_gate(whole):
    assert names.DATA_GATE in nodes(whole)[names.TRAINER].upstream_nodes


def test_new_images_are_tagged_with_what_was_pushed():
    found = compiled(tag_images=("new/",), images="listing")
    assert parameter(found, names.TAGGING, "images") == "new/"
    assert names.PUSHER in nodes(found)[names.TAGGING].upstream_nodes


def test_dataset_options_decide_whether_the_cache_is_used(whole):
    options = parameter(whole, names.DATASET_GEN, "options")
    given = json.loads(options)
    assert given["sources"]["imagenet"] == ["images"]
    assert given["splits"]["seed"] == 3
    assert "out" not in given
    assert parameter(whole, names.DATASET_GEN, "sources") == "digest"


def custom_config(pipeline):
    return json.loads(parameter(pipeline, names.TRAINER, "custom_config"))


def test_the_trainer_gets_what_weights_depend_on_and_nothing_else(whole):
    given = custom_config(whole)
    assert given["config"] == CONFIG.to_result_json()
    assert parameter(whole, names.TRAINER, "run_fn") == names.RUN_FN
    often = replace(CONFIG, checkpoint=CheckpointConfig(every_seconds=7))
    assert custom_config(compiled(config=often)) == given
    schedule = replace(CONFIG.schedule, epochs=3)
    longer = replace(CONFIG, schedule=schedule)
    assert custom_config(compiled(config=longer)) != given


def test_changed_code_is_another_key(whole, monkeypatch):
    from tfx_pipeline import code_digest

    monkeypatch.setattr(code_digest, "digest", lambda parts: "changed")
    other = compiled()
    assert custom_config(other)["code"] == "changed"
    for component in (names.DATASET_GEN, names.CALIBRATOR):
        assert parameter(other, component, "code") == "changed"
        assert parameter(whole, component, "code") != "changed"
    # With the schema all that judges the data is run again.
    assert parameter(other, names.SCHEMA_GEN, "content") == "changed"


@pytest.mark.parametrize("path", [names.RUN_FN])
def test_what_enters_by_its_path_is_found(path):
    module, _, name = path.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert importlib.import_module(names.METRICS_MODULE).TaggerFigures
