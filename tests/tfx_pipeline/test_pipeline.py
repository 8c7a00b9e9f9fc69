import importlib
import json

import pytest
from tfx.dsl.compiler.compiler import Compiler

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from model.config import load_config
from tfx_pipeline import names
from tfx_pipeline.blessing import eval_config
from tfx_pipeline.pipeline import create_pipeline


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipeline")
    pipeline = create_pipeline(
        root=root,
        serving_dir=root / "serving" / "tagforest",
        dataset=build_options(
            DatasetOptions, {"imagenet": ["images"], "seed": 3, "out": ""}
        ),
        sources="digest",
        config=load_config("demo"),
        min_f1=0.25,
    )
    return Compiler().compile(pipeline)


def test_components_run_in_the_order_of_the_work(compiled):
    assert [n.pipeline_node.node_info.id for n in compiled.nodes] == [
        names.DATASET_GEN,
        names.STATISTICS_GEN,
        names.SCHEMA_GEN,
        names.EXAMPLE_VALIDATOR,
        names.TRAINER,
        names.RESOLVER,
        names.EVALUATOR,
        names.PUSHER,
    ]


def parameter(compiled, component, name):
    (node,) = [
        n.pipeline_node
        for n in compiled.nodes
        if n.pipeline_node.node_info.id == component
    ]
    return node.parameters.parameters[name].field_value.string_value


def test_dataset_options_decide_whether_the_cache_is_used(compiled):
    options = parameter(compiled, names.DATASET_GEN, "options")
    given = json.loads(options)
    assert given["sources"]["imagenet"] == ["images"]
    assert given["splits"]["seed"] == 3
    assert "out" not in given
    assert parameter(compiled, names.DATASET_GEN, "sources") == "digest"


def test_trainer_gets_the_whole_config(compiled):
    given = json.loads(parameter(compiled, names.TRAINER, "custom_config"))
    assert json.loads(given["config"])["name"] == "demo"
    assert parameter(compiled, names.TRAINER, "run_fn") == names.RUN_FN


def test_blessing_needs_the_threshold_and_the_last_blessed_model():
    (spec,) = eval_config(min_f1=0.25, tolerance=0.01).metrics_specs
    threshold = spec.metrics[1].threshold
    assert threshold.value_threshold.lower_bound.value == 0.25
    assert threshold.change_threshold.absolute.value == -0.01


def test_run_fn_is_found():
    module, _, name = names.RUN_FN.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
