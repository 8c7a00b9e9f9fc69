"""The examples for Kubernetes: what its API takes, and what the code says."""

import re
from pathlib import Path

import pytest
import yaml

from serving.api import contract
from serving.api.models_config import models_of, read_config
from serving.api.server_options import ServerOptions
from serving.server.request_metrics import PATH
from serving.server.rest_app import LIVE, READY
from serving.tfserving import setup
from serving.tfserving.engine import arguments

ROOT = Path(__file__).parent.parent.parent.parent
DEPLOY = ROOT / "serving" / "deploy"
OURS = DEPLOY / "kubernetes.yaml"
THEIRS = DEPLOY / "kubernetes_tfserving.yaml"
FILES = pytest.mark.parametrize("file", [OURS, THEIRS], ids=lambda p: p.stem)
PORTS = {"grpc": contract.GRPC_PORT, "rest": contract.REST_PORT}


def parts(file: Path, kind: str) -> list[dict]:
    found = yaml.safe_load_all(file.read_text())
    return [part for part in found if part["kind"] == kind]


def pod(file: Path) -> dict:
    [deployment] = parts(file, "Deployment")
    return deployment["spec"]["template"]


def container(file: Path) -> dict:
    [found] = pod(file)["spec"]["containers"]
    return found


def flags(file: Path) -> dict[str, str]:
    given = (a for a in container(file)["args"] if a.startswith("--"))
    return dict(flag[2:].split("=", 1) for flag in given)


@FILES
@pytest.mark.parametrize("version", ["1.27.0", "1.33.0"])
def test_kubernetes_takes_them(file, version):
    validate = pytest.importorskip("kubernetes_validate").validate
    for part in yaml.safe_load_all(file.read_text()):
        validate(part, version, strict=True)


@FILES
def test_ports_are_those_of_the_contract(file):
    named = {p["name"]: p["containerPort"] for p in container(file)["ports"]}
    assert named == PORTS
    for service in parts(file, "Service"):
        for port in service["spec"]["ports"]:
            assert port["port"] == PORTS[port["name"]]
            assert port["targetPort"] == port["name"]
    notes = pod(file)["metadata"]["annotations"]
    assert notes["prometheus.io/port"] == str(contract.REST_PORT)
    assert notes["prometheus.io/path"] == PATH


@FILES
def test_what_is_selected_is_there(file):
    labels = pod(file)["metadata"]["labels"]
    [deployment] = parts(file, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    for service in parts(file, "Service"):
        assert service["spec"]["selector"] == labels
    for budget in parts(file, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"] == labels
    for scaler in parts(file, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] == deployment["metadata"]["name"]
        assert target["apiVersion"] == deployment["apiVersion"]
    volumes = {v["name"] for v in pod(file)["spec"]["volumes"]}
    assert {m["name"] for m in container(file)["volumeMounts"]} == volumes


@FILES
def test_memory_is_kept_for_a_pod(file):
    resources = container(file)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert "cpu" not in resources["limits"]


def test_our_probes_ask_what_is_answered():
    found = container(OURS)
    asked = {
        name: found[name]["httpGet"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert {get["port"] for get in asked.values()} == {"rest"}
    assert asked["startupProbe"]["path"] == READY
    assert asked["readinessProbe"]["path"] == READY
    assert asked["livenessProbe"]["path"] == LIVE


def test_our_arguments_are_those_of_the_command():
    from typer.main import get_command

    from tfx_pipeline.cli import app

    found = container(OURS)
    [program, name, *rest] = [*found["command"], *found["args"]]
    assert program == "tagforest"
    context = get_command(app).commands[name].make_context(name, rest)
    assert context.params["host"] == "0.0.0.0"
    assert f"/models/{contract.MODEL_NAME}" == str(context.params["model_dir"])
    assert context.params["grpc_port"] == contract.GRPC_PORT


def test_a_pod_that_ends_answers_to_the_end():
    grace = pod(OURS)["spec"]["terminationGracePeriodSeconds"]
    needed = float(flags(OURS)["drain-s"]) + ServerOptions().grace_s
    assert grace >= needed + 5
    # The probe has said no, and the pod's address has gone round, before.
    probe = container(OURS)["readinessProbe"]
    assert 2 * probe["periodSeconds"] * probe["failureThreshold"] < 15
    theirs = pod(THEIRS)["spec"]
    assert theirs["shareProcessNamespace"]
    [_, seconds] = container(THEIRS)["lifecycle"]["preStop"]["exec"]["command"]
    assert int(seconds) + 5 <= theirs["terminationGracePeriodSeconds"]


def test_their_flags_are_those_that_we_start_it_with():
    options = ServerOptions(models_config_poll_s=10)
    ours = dict(
        flag[2:].split("=", 1)
        for flag in arguments(options, Path("/config/models.config"), Path("/"))
    )
    given = flags(THEIRS)
    assert given.keys() <= ours.keys()
    assert container(THEIRS)["command"] == ["tensorflow_model_server"]
    for name, value in given.items():
        assert Path(value).name == Path(ours[name]).name, name
    # As the health service is off by default.
    assert given["enable_grpc_healthcheck_service"] == "true"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(THEIRS)[probe]["grpc"]["port"] == int(given["port"])


def test_their_files_are_those_that_we_write(tmp_path):
    [held] = parts(THEIRS, "ConfigMap")
    configs = held["data"]
    (tmp_path / "models.config").write_text(configs["models.config"])
    [model] = models_of(read_config(tmp_path / "models.config"))
    assert model.name == contract.MODEL_NAME
    mounts = [m["mountPath"] for m in container(THEIRS)["volumeMounts"]]
    assert str(model.base.parent) in mounts
    written = {p.name: p for p in setup.write_server_files(tmp_path)}
    for name in ("batching.config", "monitoring.config"):
        text = re.sub(
            r"(num_batch_threads \{ value: )\d+",
            r"\g<1>4",
            written[name].read_text(),
        )
        assert configs[name].split() == text.split()
    wanted = {f"/config/{name}" for name in configs}
    assert wanted == {v for v in flags(THEIRS).values() if "/config" in v}


def test_one_version_of_tensorflow_serving_everywhere():
    compose = ROOT / "serving" / "tfserving" / "templates" / "compose.yaml"
    image = container(THEIRS)["image"]
    for file in (compose, ROOT / "Dockerfile"):
        assert image in file.read_text(), file
