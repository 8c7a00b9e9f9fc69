from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("kfp.pipeline_spec")

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.scenes.write_scenes import write_scenes
from model.config import load_config, override
from model.evaluation.gate_options import ModelGateOptions
from serving.api.version_folders import find_versions
from tests.helpers.kubeflow_tasks import run_tasks
from tfx_pipeline import names
from tfx_pipeline.kubeflow_runner import RUN_DATA, compile_spec
from tfx_pipeline.pipeline import PipelineOptions
from tfx_pipeline.resources import parse_resources

IMAGE = "example.com/tagforest:1"


def options_of(root, **sources):
    given = {
        "min_images_open_images": 1,
        "validation_per_class": 0,
        "splits": "train=0.7,validation=0.15,calibration=0.15",
        "out": "",
    }
    small = (
        "data.image_size=16",
        "network.blocks=(1,)",
        "network.filters=(8,)",
        "network.strides=(1,)",
        "schedule.batch_size=32",
        "schedule.epochs=1",
    )
    return PipelineOptions(
        root=root,
        model_dir=f"{root}/serving/tagforest",
        dataset=build_options(DatasetOptions, given | sources),
        config=override(load_config("demo"), small),
        model_gate=ModelGateOptions(min_gain=-1, min_validation_images=1),
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    spec = tmp_path_factory.mktemp("spec") / "pipeline.json"
    options = options_of(
        "gs://bucket/root", open_images=["gs://bucket/span-{SPAN}"]
    )
    resources = parse_resources(["Trainer=16,64,2xT4", "DatasetGen=2,8"])
    return compile_spec(options, IMAGE, str(spec), resources)


def containers(job):
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    return {
        name.removesuffix("_executor"): e["container"]
        for name, e in executors.items()
        if "container" in e
    }


def test_every_component_has_our_image(job):
    found = containers(job)
    assert {c["image"] for c in found.values()} == {IMAGE}
    assert set(found) >= {
        *(names.DATASET_GEN, names.SCHEMA_GEN, names.DATA_GATE),
        *(names.TRAINER, names.CALIBRATOR, names.EVALUATOR),
        *(names.MODEL_GATE, names.SERVE_CHECK, names.PUSHER),
    }


def test_addresses_stay_addresses(job):
    config = job["runtimeConfig"]
    assert config["gcsOutputDirectory"] == "gs://bucket/root/artifacts"
    assert "gs:/bucket" not in str(job).replace("gs://", "")


def test_a_schedule_looks_for_new_data(job):
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    given = tasks[names.DATASET_GEN]["inputs"]["parameters"]
    assert given["sources"] == {"componentInputParameter": RUN_DATA}
    # Not what was there when it was compiled.
    options = given["options"]["runtimeValue"]["constantValue"]["stringValue"]
    assert "gs://bucket/span-{SPAN}" in options


def test_resources_of_components(job):
    found = containers(job)
    trainer = found[names.TRAINER]["resources"]
    assert trainer["cpuLimit"] == 16 and trainer["memoryLimit"] == 64
    assert trainer["accelerator"] == {"type": "T4", "count": "2"}
    assert "accelerator" not in found[names.DATASET_GEN]["resources"]
    assert "resources" not in found[names.PUSHER]


def test_resources_of_no_component(tmp_path):
    options = options_of("gs://bucket/root", open_images=["gs://b"])
    wrong = parse_resources(["Train=1,1"])
    with pytest.raises(InputError, match="one of DatasetGen, .*: Train$"):
        compile_spec(options, IMAGE, str(tmp_path / "x.json"), wrong)


# Twelve processes, each with TFX and TensorFlow to import.
@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(1200)
def test_every_task_runs_by_its_own_command(tmp_path):
    write_scenes(
        tmp_path / "span-1",
        imagenet_images_per_class=1,
        open_images=60,
        image_size=32,
        progress=False,
    )
    root = str(tmp_path / "root")
    pattern = str(tmp_path / "span-{SPAN}")
    options = options_of(
        root,
        imagenet=[f"{pattern}/imagenet"],
        open_images=[f"{pattern}/open_images"],
    )
    job = compile_spec(replace(options), IMAGE, str(tmp_path / "pipeline.json"))
    outputs = run_tasks(job, tmp_path / "run", {RUN_DATA: "night 1"}, {})
    (examples,) = outputs[names.DATASET_GEN]["examples"]["artifacts"]
    assert examples["metadata"]["spans"] == "1"
    (blessing,) = outputs[names.MODEL_GATE]["blessing"]["artifacts"]
    assert blessing["metadata"]["blessed"] == 1
    # By it the platform's resolver finds the model; a number it would not.
    assert "Calibrator/model" in blessing["metadata"]["current_model_id"]
    (pushed,) = outputs[names.PUSHER]["pushed_model"]["artifacts"]
    version = Path(pushed["metadata"]["pushed_destination"])
    assert find_versions(version.parent) == [int(version.name)]
