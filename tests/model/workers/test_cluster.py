"""Tests of model.workers.cluster and of the Kubernetes example."""

import json
from pathlib import Path

import pytest
import yaml

from beam_jobs.errors import InputError
from model.config import load_config, override
from model.training.options import TrainOptions
from model.workers import cluster
from model.workers.cluster import Workers, workers_from_environment

EXAMPLE = Path(cluster.__file__).parent.parent / "kubernetes" / "train.yaml"


def test_workers_from_environment(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    workers = workers_from_environment()
    assert (workers.count, workers.index, workers.is_chief) == (1, 0, True)
    hosts = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for kind, index, place in (("chief", 0, 0), ("worker", 1, 2)):
        task = {"type": kind, "index": index}
        text = json.dumps({"cluster": hosts, "task": task})
        monkeypatch.setenv("TF_CONFIG", text)
        workers = workers_from_environment()
        assert (workers.count, workers.index) == (3, place)
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(InputError, match="TF_CONFIG must be"):
        workers_from_environment()


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "problem"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 2, "from 0 to 1; received: 2"),
        ({"worker": ["a:1", "b:1"]}, "worker", -1, "received: -1"),
        ({"worker": ["a:1"]}, "chief", 0, "this is a chief, and"),
        ({}, "worker", 0, "this is a worker, and the cluster names none"),
        ({"worker": ["a:1"]}, "evaluator", 0, "received: 'evaluator'"),
        ({"worker": ["a:1"], "ps": ["c:1"]}, "ps", 0, "received: 'ps'"),
        ({"worker": ["a", "b:1"]}, "worker", 0, "received: 'a'"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "names a worker twice"),
        ({"worker": 3}, "worker", 0, "TF_CONFIG must be"),
        ({"worker": "a:1"}, "worker", 0, "TF_CONFIG must be"),
        ({"worker": ["a:1", "b:1"]}, "worker", "one", "TF_CONFIG must be"),
        ({"worker": ["a:1", "b:1"]}, "worker", True, "TF_CONFIG must be"),
        ({"worker": ["a:1", "b:1"]}, "worker", 0.5, "TF_CONFIG must be"),
        ({"worker": ["a:1", " a:1"]}, "worker", 0, "names a worker twice"),
        ({"worker": ["::1:1", "b:1"]}, "worker", 0, "in brackets"),
    ],
)
def test_a_wrong_tf_config_is_refused(monkeypatch, jobs, kind, index, problem):
    task = {"type": kind, "index": index}
    text = json.dumps({"cluster": jobs, "task": task})
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=problem):
        workers_from_environment()


def test_index_comes_from_the_option_or_the_job(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv(cluster.INDEX, "1")
    cluster.join("a:1, b:2")
    assert workers_from_environment() == Workers(2, 1, ("a:1", "b:2"))
    cluster.join("a:1,b:2", 0)
    assert workers_from_environment() == Workers(2, 0, ("a:1", "b:2"))


@pytest.mark.parametrize(
    ("hosts", "index", "problem"),
    [
        ("a:1,b", 0, "received: 'b'"),
        ("a:1,a:1", 0, "names a worker twice"),
        ("a:1,b:0", 0, "received: 'b:0'"),
        ("a:1,b:1", 2, "from 0 to 1"),
        ("a:1,fe80::1:2222", 0, r"brackets: \[fe80::1\]:2222"),
        ("a:1,b:1", None, "which of --hosts is this"),
    ],
)
def test_refusals(monkeypatch, hosts, index, problem):
    monkeypatch.delenv(cluster.INDEX, raising=False)
    with pytest.raises(InputError, match=problem):
        cluster.join(hosts, index)


def test_kubernetes_example_makes_one_cluster(monkeypatch):
    service, job = yaml.safe_load_all(EXAMPLE.read_text())
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    options = dict(
        argument[2:].split("=", 1)
        for argument in container["args"]
        if argument.startswith("--")
    )
    name = job["metadata"]["name"]
    port = service["spec"]["ports"][0]["port"]
    hosts = options["hosts"].split(",")
    # What Kubernetes calls the pods of an indexed Job with a subdomain.
    assert hosts == [
        f"{name}-{i}.{pod['subdomain']}:{port}"
        for i in range(spec["completions"])
    ]
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"]
    assert service["metadata"]["name"] == pod["subdomain"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    monkeypatch.setenv("TF_CONFIG", "")
    for index in range(spec["completions"]):
        monkeypatch.setenv(cluster.INDEX, str(index))
        cluster.join(options["hosts"])
        found = workers_from_environment()
        assert (found.count, found.index) == (len(hosts), index)
    override(load_config(options["config"]), [options["set"]])


@pytest.mark.parametrize("version", ["1.33.0", "1.35.0"])
def test_kubernetes_takes_the_example(version):
    import kubernetes_validate

    for part in yaml.safe_load_all(EXAMPLE.read_text()):
        kubernetes_validate.validate(part, version, strict=True)


def test_kubernetes_tries_again_what_another_try_may_cure():
    _, job = yaml.safe_load_all(EXAMPLE.read_text())
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    # The API server refuses a policy with another one.
    assert pod["restartPolicy"] == "Never"
    first, second = spec["podFailurePolicy"]["rules"]
    assert first["action"] == "FailJob"
    assert first["onExitCodes"]["containerName"] == container["name"]
    assert first["onExitCodes"]["operator"] == "In"
    assert first["onExitCodes"]["values"] == [2]
    assert second == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    # Only an indexed Job may count by index.
    assert spec["completionMode"] == "Indexed"
    assert spec["backoffLimitPerIndex"] > 0 == spec["maxFailedIndexes"]
    # Longer than the longest pause between two tries.
    assert TrainOptions().join_seconds > 360


def test_kubernetes_gives_memory_for_nccl():
    _, job = yaml.safe_load_all(EXAMPLE.read_text())
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
    assert mounts["shm"] == "/dev/shm"
    resources = container["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
