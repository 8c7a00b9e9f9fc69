from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import threading
import time
from functools import partial

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.server_options import ServerOptions
from serving.api.tensor_proto import to_proto
from serving.api.version_policy import VersionPolicy
from serving.client.tag_client import TagClient
from serving.server import local_server as server_module
from serving.server.local_server import running_server, serve
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("which", ["grpc_port", "rest_port"])
def test_a_port_in_use_is_told_before_the_model_is_loaded(
    tmp_path, taken, which
):
    options = ServerOptions(**{"grpc_port": 0, "rest_port": 0, which: taken})
    flag = "--" + which.replace("_", "-")
    with pytest.raises(InputError, match=f"port {taken} .*{flag}"):
        # The folder is empty: loading would fail with another message.
        with running_server(tmp_path, options):
            pass


def test_a_running_server_holds_its_ports(server, model_base):
    options = ServerOptions(grpc_port=server.grpc_port, rest_port=0)
    with pytest.raises(InputError, match=f"port {server.grpc_port}"):
        with running_server(model_base, options):
            pass


def test_nothing_to_serve(tmp_path):
    options = ServerOptions(grpc_port=0, rest_port=0)
    with pytest.raises(InputError, match="tagforest export"):
        with running_server(tmp_path, options):
            pass


def test_ports_are_free_after_the_block(versions_base):
    two = VersionPolicy(specific=(2,))
    options = ServerOptions(name="other", grpc_port=0, rest_port=0, policy=two)
    with running_server(versions_base, options) as running:
        url = f"http://{running.rest_address}/v1/models/other"
        assert httpx.get(url, trust_env=False).status_code == 200
    again = ServerOptions(
        grpc_port=running.grpc_port, rest_port=running.rest_port, policy=two
    )
    with running_server(versions_base, again):
        pass


def test_sigterm_lets_a_running_request_finish(model_base, monkeypatch):
    """The request is held inside the model while the signal arrives."""
    from serving.saved_model.servable import Servable

    entered, released = threading.Event(), threading.Event()
    run = Servable.run
    answers = []

    def held(self, *arguments):
        entered.set()
        released.wait(30)
        return run(self, *arguments)

    def ask(address):
        with TagClient(address) as client:
            answers.extend(client.tag([noise_image(1)]))

    def stop_while_busy(running):
        monkeypatch.setattr(Servable, "run", held)
        asker = threading.Thread(target=ask, args=(running.grpc_address,))
        asker.start()
        entered.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Timer(0.3, released.set).start()
        stop_while_busy.asker = asker

    before = signal.getsignal(signal.SIGTERM)
    options = ServerOptions(grpc_port=0, rest_port=0, drain_s=0)
    serve(model_base, options, on_ready=stop_while_busy)
    stop_while_busy.asker.join(30)
    assert [p.valid for p in answers] == [True]
    assert signal.getsignal(signal.SIGTERM) is before
    assert server_module.ServerOptions().host == "127.0.0.1"


def test_sigterm_drains_and_another_signal_ends_it(versions_base):
    seen, told = [], []

    def watch(running):
        get = partial(httpx.get, trust_env=False, timeout=60)
        base = f"http://{running.rest_address}"

        def drain():
            os.kill(os.getpid(), signal.SIGTERM)
            wait_until(lambda: get(f"{base}/readyz").status_code == 503)
            reply = get(f"{base}/v1/models/tagforest")
            seen.extend([reply.status_code, reply.headers["connection"]])
            seen.append(get(f"{base}/livez").status_code)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=drain).start()

    two = VersionPolicy(specific=(2,))
    options = ServerOptions(grpc_port=0, rest_port=0, policy=two, drain_s=1000)
    serve(versions_base, options, on_ready=watch, on_drain=told.append)
    assert (seen, told) == ([200, "close", 200], [1000])


def test_sighup_reads_models_config_again(versions_base, tmp_path):
    def config(name):
        return (
            f'model_config_list {{ config {{ name: "{name}" base_path: '
            f'"{versions_base}" model_platform: "tensorflow" '
            "model_version_policy { specific { versions: 2 } } } }"
        )

    file = tmp_path / "models.config"
    file.write_text(config("first"))
    seen = []

    def watch(running):
        def change():
            # A file that is wrong changes nothing and ends nothing.
            for text in ("no config", config("second")):
                file.write_text(text)
                os.kill(os.getpid(), signal.SIGHUP)
                time.sleep(0.3)
                seen.append(running.versions.names)
            wait_until(lambda: running.versions.names == ("second",))
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=change).start()

    options = ServerOptions(grpc_port=0, rest_port=0, models_config=file)
    serve(None, options, on_ready=watch)
    assert seen[0] == ("first",)


def test_health_is_that_of_the_models(versions_base, tmp_path):
    base = tmp_path / "tagforest"
    shutil.copytree(versions_base / "2", base / "2")
    options = ServerOptions(grpc_port=0, rest_port=0, poll_s=0.05)
    with (
        running_server(base, options) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)

        def is_serving():
            asked = health_pb2.HealthCheckRequest(
                service="tensorflow.serving.PredictionService"
            )
            return stub.Check(asked).status == 1

        assert is_serving()
        (base / "2").rename(tmp_path / "away")
        wait_until(lambda: not is_serving())
        (tmp_path / "away").rename(base / "3")
        wait_until(is_serving)


def test_labels_over_both_transports(versions_base):
    """A pinned canary beside the stable version."""
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        policy=VersionPolicy(specific=(1, 2)),
        labels={"stable": 1, "canary": 2},
    )
    with running_server(versions_base, options) as server:
        web = httpx.Client(base_url=f"http://{server.rest_address}")
        encoded = base64.b64encode(noise_image(1)).decode()
        body = {"instances": [{"b64": encoded}]}
        path = "/v1/models/tagforest"
        for label, version in options.labels.items():
            reply = web.post(f"{path}/labels/{label}:predict", json=body)
            assert reply.status_code == 200
            metadata = web.get(f"{path}/labels/{label}/metadata").json()
            assert metadata["model_spec"]["version"] == str(version)
        reply = web.post(f"{path}/labels/beta:predict", json=body)
        assert reply.status_code == 400
        assert "Unrecognized servable version label: beta" in reply.text
        request = protos.predict_pb2.PredictRequest()
        request.model_spec.name = "tagforest"
        request.model_spec.version_label = "stable"
        request.inputs[contract.IMAGE_BYTES].CopyFrom(
            to_proto(np.array([noise_image(1)], object))
        )
        with grpc.insecure_channel(server.grpc_address) as channel:
            stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(
                channel
            )
            assert stub.Predict(request).model_spec.version.value == 1
