from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.errors import RequestError
from serving.api.models_config import ModelConfig
from serving.api.server_options import RetryOptions, ServerOptions
from serving.api.version_policy import VersionPolicy
from serving.server.local_server import running_server
from serving.server.model_registry import ModelRegistry
from serving.server.versions import AVAILABLE, END
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until

ONE, TWO = VersionPolicy(specific=(1,)), VersionPolicy(specific=(1, 2))
OPTIONS = ServerOptions(poll_s=0.05, retries=RetryOptions(0))


@pytest.fixture(name="base")
def fixture_base(versions_base):
    return versions_base


@pytest.fixture(name="registry")
def fixture_registry(base):
    dogs = ModelConfig("dogs", base, ONE, {"stable": 1})
    cats = ModelConfig("cats", base, VersionPolicy(specific=(3,)))
    registry = ModelRegistry([dogs, cats], OPTIONS)
    registry.start()
    yield registry
    registry.close()


def version_of(registry, name, **which):
    with registry.acquire(name, **which) as loaded:
        return loaded.version


def states(registry, name):
    return {s.version: s.state for s in registry.states_of(name)}


def refused(registry, *models):
    with pytest.raises(RequestError) as caught:
        registry.reload(models)
    return caught.value.code, caught.value.message


def test_several_models(registry):
    assert registry.names == ("dogs", "cats") and registry.is_ready
    assert "cats" in registry and "birds" not in registry
    assert version_of(registry, "dogs") == 1
    assert version_of(registry, "dogs", label="stable") == 1
    assert version_of(registry, "cats", version=3) == 3
    for name, which, code in (
        ("birds", {}, StatusCode.NOT_FOUND),
        ("cats", {"version": 1}, StatusCode.NOT_FOUND),
        ("cats", {"label": "stable"}, StatusCode.INVALID_ARGUMENT),
        ("birds", {"label": "stable"}, StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(RequestError) as caught:
            version_of(registry, name, **which)
        assert caught.value.code is code
    with pytest.raises(RequestError, match="of model birds"):
        registry.states_of("birds")


def test_promotion_takes_two_steps(base, registry):
    inputs = {contract.IMAGE_BYTES: np.array([noise_image(1)], object)}
    seen, failed, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with registry.acquire("dogs", label="stable") as loaded:
                    loaded.run(contract.TAGS, inputs, float("inf"))
                    seen.append(loaded.version)
            except Exception as error:
                failed.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    moved = ModelConfig("dogs", base, TWO, {"stable": 2, "old": 1})
    at_once = refused(registry, moved)
    assert at_once == (
        StatusCode.FAILED_PRECONDITION,
        "Request to assign label to version 2 of model dogs, which is not "
        "currently available for inference",
    )
    assert version_of(registry, "dogs", label="stable") == 1
    with pytest.raises(RequestError, match="label: old"):
        version_of(registry, "dogs", label="old")
    assert registry.names == ("dogs", "cats")
    registry.reload([ModelConfig("dogs", base, TWO, {"stable": 1})])
    wait_until(lambda: states(registry, "dogs").get(2) == AVAILABLE)
    registry.reload([moved])
    count = len(seen)
    registry.reload([ModelConfig("dogs", base, TWO, {"stable": 2})])
    second = VersionPolicy(specific=(2,))
    registry.reload([ModelConfig("dogs", base, second, {"stable": 2})])
    wait_until(lambda: states(registry, "dogs")[1] == END)
    wait_until(lambda: len(seen) > count + 20)
    stop.set()
    for asker in askers:
        asker.join()
    assert failed == [] and seen[0] == 1 and seen[-1] == 2
    # The omitted model is gone, and still listed.
    wait_until(lambda: states(registry, "cats") == {3: END})
    assert "cats" not in registry and registry.is_ready
    registry.reload([ModelConfig("cats", base, ONE)])
    assert version_of(registry, "cats") == 1
    assert states(registry, "cats") == {1: AVAILABLE, 3: END}


def test_new_models_that_do_not_load(base, registry, tmp_path):
    dogs = ModelConfig("dogs", base, ONE, {"stable": 1})
    code, message = refused(registry, dogs, ModelConfig("new", tmp_path))
    assert code is StatusCode.NOT_FOUND and str(tmp_path) in message
    assert registry.names == ("dogs", "cats")
    bad = ModelConfig("bad", base, VersionPolicy(specific=(9,)))
    code, message = refused(registry, dogs, bad)
    assert code is StatusCode.UNKNOWN
    assert "1 model(s) did not become available" in message
    assert "name: bad version: 9" in message and "saved_model.pb" in message
    assert not registry.is_ready and version_of(registry, "dogs") == 1
    # A broken version beside a sound one leaves that serving.
    policy = VersionPolicy(specific=(1, 9))
    registry.reload([ModelConfig("dogs", base, policy)])
    wait_until(lambda: states(registry, "dogs").get(9) == END)
    assert version_of(registry, "dogs") == 1 and registry.is_ready


def test_a_later_reload_wins_over_one_that_tries_again(base, tmp_path):
    options = ServerOptions(
        poll_s=0.05, retries=RetryOptions(count=1000, interval_s=1000)
    )
    dogs = ModelConfig("dogs", base, ONE)
    registry = ModelRegistry([dogs], options)
    registry.start()
    broken = ModelConfig("cats", base, VersionPolicy(specific=(9,)))
    birds = replace(broken, name="birds")
    try:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(refused, registry, dogs, broken, birds)
            wait_until(lambda: "cats" in registry)
            assert not first.done()
            # Another folder, the same number: its failures are forgotten.
            shutil.copytree(base / "2", tmp_path / "9")
            mended = replace(broken, base=tmp_path)
            registry.reload([dogs, mended])
            assert version_of(registry, "cats") == 9
            code, message = first.result()
        assert code is StatusCode.ABORTED and "took birds away" in message
    finally:
        registry.close()


def test_labels_of_versions_that_are_not_loaded(base):
    options = ServerOptions(poll_s=0.05, allow_unavailable_labels=True)
    registry = ModelRegistry(
        [ModelConfig("dogs", base, ONE, {"stable": 1, "next": 3})], options
    )
    registry.start()
    try:
        with pytest.raises(RequestError, match=r"Specific\(dogs, 3\)"):
            version_of(registry, "dogs", label="next")
        labels = {"stable": 1, "next": 3, "new": 2}
        registry.reload([ModelConfig("dogs", base, ONE, labels)])
        moved = {"stable": 3}
        code, _ = refused(registry, ModelConfig("dogs", base, ONE, moved))
        assert code is StatusCode.FAILED_PRECONDITION
    finally:
        registry.close()
    strict = ModelRegistry([ModelConfig("dogs", base, ONE, {"stable": 2})])
    with pytest.raises(InputError, match=r"label stable.*\[1\] are"):
        strict.start()
    strict.close()


def config(*models, platform="tensorflow"):
    message = protos.model_server_config_pb2.ModelServerConfig()
    message.model_config_list.SetInParent()
    for name, base, versions, labels in models:
        model = message.model_config_list.config.add()
        model.name, model.base_path = name, str(base)
        model.model_platform = platform
        model.model_version_policy.specific.versions.extend(versions)
        model.version_labels.update(labels)
    return message


def test_reload_over_grpc_and_from_the_file(base, tmp_path):
    path = tmp_path / "models.config"
    first = config(("dogs", base, [1], {"stable": 1}), ("cats", base, [2], {}))
    path.write_text(text_format.MessageToString(first))
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        poll_s=0.05,
        models_config=path,
        models_config_poll_s=0.1,
    )
    with running_server(None, options) as server:
        assert server.name == "dogs"
        channel = grpc.insecure_channel(server.grpc_address)
        stub = protos.model_service_pb2_grpc.ModelServiceStub(channel)
        message = protos.model_management_pb2.ReloadConfigRequest

        def code_of(request):
            with pytest.raises(grpc.RpcError) as caught:
                stub.HandleReloadConfigRequest(request)
            return caught.value.code()

        assert code_of(message()) is StatusCode.INVALID_ARGUMENT
        relative = config(("dogs", "m", [1], {}))
        assert code_of(message(config=relative)) is StatusCode.INVALID_ARGUMENT
        early = config(("dogs", base, [1, 2], {"stable": 2}))
        assert code_of(message(config=early)) is StatusCode.FAILED_PRECONDITION
        reply = stub.HandleReloadConfigRequest(message(config=first))
        assert reply.HasField("status") and reply.status.error_code == 0
        # What is wrong in the file changes nothing; later it counts again.
        path.write_text("model_config_list { broken")
        time.sleep(0.3)
        assert server.versions.names == ("dogs", "cats")
        path.write_text(
            text_format.MessageToString(config(("birds", base, [2], {})))
        )
        wait_until(lambda: server.versions.names == ("birds",))
        wait_until(lambda: server.versions.is_ready)
        channel.close()
