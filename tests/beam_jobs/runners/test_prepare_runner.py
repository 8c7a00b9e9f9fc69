"""The data set job on every runner."""

import json

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job import pipeline as dataset_pipeline
from beam_jobs.dataset_job.assemble_images import KnownClasses
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.finish_dataset import DatasetFacts
from beam_jobs.dataset_job.options import (
    DatasetOptions,
    ImageChecks,
    SplitOptions,
)
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.runners import prepare_runner
from tests.helpers.raw_sources import CAT, DOG, write_imagenet

IMAGE = "europe-docker.pkg.dev/some-project/images/tagforest"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ""),
        (["--runner", "DirectRunner"], "DirectRunner"),
        (["--runner=DaskRunner"], prepare_runner.DASK),
        (["--runner", "dask"], prepare_runner.DASK),
        (["--runner", "DataflowRunner"], prepare_runner.DATAFLOW),
        (["--runner", prepare_runner.DATAFLOW], prepare_runner.DATAFLOW),
    ],
)
def test_class_path(args, expected):
    assert prepare_runner.class_path(args) == expected


def test_options_stay_as_they_are():
    args = ["--runner=DirectRunner", "--direct_num_workers=2"]
    assert prepare_runner.prepare(args) == args


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Returns a folder of ten dogs and ten cats."""
    folder = tmp_path_factory.mktemp("raw")
    write_imagenet(folder / "images", (DOG, CAT), 10)
    return folder


def build(raw, out, *beam_args):
    given = {"imagenet": [str(raw)], "images_per_shard": 4, "out": str(out)}
    options = build_options(DatasetOptions, given)
    return build_dataset(options, beam_args, show_progress=False)


@pytest.fixture(scope="module")
def alone(raw, tmp_path_factory):
    return build(raw, tmp_path_factory.mktemp("alone") / "dataset")


@pytest.mark.large
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "beam_args",
    [
        (
            "--direct_num_workers=2",
            "--direct_running_mode=multi_processing",
        ),
        ("--runner=DaskRunner",),
    ],
    ids=["two processes", "Dask"],
)
def test_runners_write_the_same(raw, alone, tmp_path, beam_args):
    if "--runner=DaskRunner" in beam_args:
        pytest.importorskip("distributed", reason="Dask is not installed")
    found = build(raw, tmp_path / "found", *beam_args)
    assert found.images == {"in": 20, "out": 20, "rejected": 0}
    assert found.fingerprint == alone.fingerprint


def test_dataflow_job(tmp_path):
    """The job that Dataflow would get, written to a file instead."""
    args = [
        "--runner=DataflowRunner",
        "--project=some-project",
        "--region=europe-west1",
        "--temp_location=gs://bucket/tmp",
        f"--sdk_container_image={IMAGE}",
        "--machine_type=n2-standard-8",
        f"--template_location={tmp_path / 'job.json'}",
        # So that nothing is asked over the network.
        f"--staging_location={tmp_path}",
        "--dataflow_endpoint=http://localhost:1",
        "--no_auth",
    ]
    index = dataset_pipeline.ReadIndex(
        [(0, ["gs://bucket/dataset/.work/rows/0.arrow"])], {}, []
    )
    dataset_pipeline.write(index, *write_arguments(), args)

    job = json.loads((tmp_path / "job.json").read_text())
    assert job["type"] == "JOB_TYPE_BATCH"
    (pool,) = job["environment"]["workerPools"]
    assert pool["machineType"] == "n2-standard-8"
    assert pool["workerHarnessContainerImage"] == IMAGE
    pipeline = beam_runner_api_pb2.Pipeline.FromString(
        (tmp_path / "pipeline.pb").read_bytes()
    )
    names = {t.unique_name for t in pipeline.components.transforms.values()}
    assert {"Assemble images", "Plan shards", "Write shard", "Finish"} <= names
    for environment in pipeline.components.environments.values():
        payload = beam_runner_api_pb2.DockerPayload.FromString(
            environment.payload
        )
        assert payload.container_image == IMAGE


def write_arguments():
    vocabulary = Vocabulary([TagClass(0, DOG, "dog"), TagClass(1, CAT, "cat")])
    hierarchy = Hierarchy([(), ()])
    context = dataset_pipeline.WriteContext(
        dataset="gs://bucket/dataset",
        work="gs://bucket/dataset/.work",
        known=KnownClasses({DOG: 0, CAT: 1}),
        label_rules=LabelRules(hierarchy),
        classes=2,
        checks=ImageChecks(),
        splits=SplitOptions(),
        images_per_shard=4,
    )
    return context, DatasetFacts("request", {}, vocabulary, hierarchy)
