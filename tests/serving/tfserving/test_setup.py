"""Tests of serving.tfserving.setup: TensorFlow Serving's own formats."""

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.tfserving.options import TfServingSetup
from serving.tfserving.setup import models_config, write_setup

DOCKERFILE = Path(__file__).parents[3] / "Dockerfile"


@pytest.fixture(name="base")
def fixture_base(tmp_path):
    for version in ("1", "2", "10"):
        (tmp_path / "models" / version).mkdir(parents=True)
    return tmp_path / "models"


def parsed(text):
    message = protos.model_server_config_pb2.ModelServerConfig()
    [model] = text_format.Parse(text, message).model_config_list.config
    return model


def test_labels_keep_their_versions(base):
    setup = TfServingSetup(base, labels={"stable": 2, "canary": 10})
    model = parsed(models_config(setup))
    assert (model.name, model.base_path) == ("tagforest", "/models/tagforest")
    assert list(model.model_version_policy.specific.versions) == [2, 10]
    assert dict(model.version_labels) == {"stable": 2, "canary": 10}


def test_without_labels_the_newest_is_served(base):
    model = parsed(models_config(TfServingSetup(base, name="dogs")))
    assert model.base_path == "/models/dogs"
    assert not model.HasField("model_version_policy")


def test_files(base, tmp_path):
    setup = TfServingSetup(base, batch_timeout_us=500, max_queued_batches=7)
    paths = {p.name: p for p in write_setup(tmp_path / "out", setup)}
    compose = yaml.safe_load(paths["compose.yaml"].read_text())
    service = compose["services"]["tagforest"]
    assert f"{base.resolve()}:/models/tagforest:ro" in service["volumes"]
    # What the compose file runs is what the image is built on.
    assert f"FROM {service['image']} AS serving" in DOCKERFILE.read_text()
    assert all(p.startswith("127.0.0.1:") for p in service["ports"])
    mounted = re.findall(r"/config/([a-z.]+)", " ".join(service["command"]))
    assert {*mounted, "compose.yaml"} == set(paths)
    batching = paths["batching.config"].read_text()
    sizes = re.findall(r"^allowed_batch_sizes: (\d+)$", batching, re.M)
    assert tuple(map(int, sizes)) == contract.BATCH_SIZES
    # The last allowed size must be the largest, or no version loads.
    assert f"max_batch_size {{ value: {sizes[-1]} }}" in batching
    assert "batch_timeout_micros { value: 500 }" in batching
    assert "max_enqueued_batches { value: 7 }" in batching
    text_format.Parse(
        paths["session.config"].read_text(), config_pb2.ConfigProto()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"stable": 3}},
        {"batch_timeout_us": -1},
        {"max_queued_batches": 0},
    ],
)
def test_wrong_setups(base, wrong):
    with pytest.raises(InputError):
        TfServingSetup(base, **wrong)


def test_no_version(tmp_path):
    with pytest.raises(InputError, match="tagforest export"):
        TfServingSetup(tmp_path)
