"""The examples of proxies: what they say, and what nginx does with it."""

import re
import shutil
import subprocess
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import yaml

from serving.api import contract, protos
from serving.api.client_tls import ClientTls
from serving.api.sockets import bind
from serving.api.tensor_proto import to_proto
from serving.client.client_options import ClientOptions
from serving.client.tag_client import TagClient
from serving.server.grpc_server import _SERVICES
from serving.server.rest_app import READY
from tests.helpers.certificates import write_certificates
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until

DEPLOY = Path(__file__).parent.parent.parent.parent / "serving" / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text()
ENVOY = yaml.safe_load((DEPLOY / "envoy.yaml").read_text())
PREDICTION, MODELS = _SERVICES
RELOAD = f"/{MODELS}/HandleReloadConfigRequest"
installed = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed"
)


def clusters() -> dict[str, dict]:
    return {c["name"]: c for c in ENVOY["static_resources"]["clusters"]}


def envoys_manager() -> dict:
    [listener] = ENVOY["static_resources"]["listeners"]
    [chain] = listener["filter_chains"]
    [found] = chain["filters"]
    return found["typed_config"]


def test_envoy_asks_the_contracts_ports_and_probes():
    ports = {}
    for name, cluster in clusters().items():
        [group] = cluster["load_assignment"]["endpoints"]
        [endpoint] = group["lb_endpoints"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        ports[name] = address["port_value"]
        # The Service with the pods' addresses.
        assert (
            f"name: {address['address']}\n"
            in (DEPLOY / "kubernetes.yaml").read_text()
        )
    assert ports == {
        "tagforest_grpc": contract.GRPC_PORT,
        "tagforest_rest": contract.REST_PORT,
    }
    [check] = clusters()["tagforest_rest"]["health_checks"]
    assert check["http_health_check"]["path"] == READY


def test_envoy_lets_nobody_change_what_is_served():
    [host] = envoys_manager()["route_config"]["virtual_hosts"]
    matches = [route["match"] for route in host["routes"]]
    prefixes = [match.get("prefix", "\0") for match in matches]
    assert not any(RELOAD.startswith(prefix) for prefix in prefixes)
    assert RELOAD not in [match.get("path") for match in matches]
    assert f"/{PREDICTION}/" in prefixes
    assert {r["route"]["cluster"] for r in host["routes"]} == {*clusters()}


def test_envoys_limits_are_the_servers():
    filters = {
        f["name"].split(".")[-1]: f["typed_config"]
        for f in envoys_manager()["http_filters"]
    }
    limit = filters["buffer"]["max_request_bytes"]
    assert limit == contract.MAX_REQUEST_BYTES
    assert list(filters)[-1] == "router"


def test_envoys_types_are_named_for_their_filters():
    """A filter of one kind with the settings of another starts no Envoy."""
    text = (DEPLOY / "envoy.yaml").read_text()
    types = re.findall(r'"@type": type\.googleapis\.com/([\w.]+)', text)
    assert len(types) == 6
    for kind in types:
        assert re.fullmatch(r"envoy\.extensions\.[a-z_.]+\.v3\.\w+", kind)


def test_nginx_says_what_the_contract_does():
    ports = re.findall(r"server 127\.0\.0\.1:(\d+);", NGINX)
    assert list(map(int, ports)) == [contract.GRPC_PORT, contract.REST_PORT]
    megabytes = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert int(megabytes[1]) * 2**20 == contract.MAX_REQUEST_BYTES
    places = re.findall(r"location (?:= )?(/\S*) \{", NGINX)
    assert f"/{PREDICTION}/" in places and READY in places
    assert RELOAD not in places and f"/{MODELS}/" not in places


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return write_certificates(tmp_path_factory.mktemp("pem"))


def settled(folder: Path, pem: Path, port: int, server) -> str:
    """Returns the example with the paths and ports of this test."""
    (folder / "clients.map").write_text('"Bearer sesame" "ali baba";\n')
    changes = {
        "/run/nginx.pid": f"{folder}/pid",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "/etc/nginx/clients.map": f"{folder}/clients.map",
        "/etc/nginx/tls/server.pem": f"{pem}/server.pem",
        "/etc/nginx/tls/server.key": f"{pem}/server.key",
        "/etc/nginx/tls/clients_ca.pem": f"{pem}/ca.pem",
        "listen 8443": f"listen 127.0.0.1:{port}",
        # Else a busy machine would not come up to it.
        "rate=50r/s": "rate=1r/s",
        f"127.0.0.1:{contract.GRPC_PORT}": server.grpc_address,
        f"127.0.0.1:{contract.REST_PORT}": server.rest_address,
    }
    text = NGINX
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def proxy(server, pem, tmp_path_factory):
    """Runs nginx before the server; returns host and port."""
    folder = tmp_path_factory.mktemp("nginx")
    with bind("127.0.0.1", 0, "nginx") as held:
        port = held.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(settled(folder, pem, port, server))
    command = ["nginx", "-c", str(config), "-p", str(folder)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    running = subprocess.Popen([*command, "-g", "daemon off;"])
    address = f"127.0.0.1:{port}"
    with running:
        wait_until(lambda: answers(f"https://{address}{READY}"), 30)
        yield address
        running.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, verify=False).status_code == 200
    except httpx.TransportError:
        return False


@installed
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_client_with_a_certificate_is_let_through(proxy, pem, kind):
    mutual = ClientTls(pem / "ca.pem", pem / "client.pem", pem / "client.key")
    options = ClientOptions(tls=mutual)
    with TagClient(proxy, kind, options) as client:
        assert all(
            a.valid for a in client.tag([noise_image(n) for n in (1, 2)])
        )
        assert [s.version for s in client.status()] == [1]


@pytest.fixture
def predict(proxy, pem):
    """Returns a function: metadata -> the answer over gRPC."""
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = contract.MODEL_NAME
    image = np.array([noise_image(0)], object)
    request.inputs[contract.IMAGE_BYTES].CopyFrom(to_proto(image))
    trusted = grpc.ssl_channel_credentials((pem / "ca.pem").read_bytes())
    with grpc.secure_channel(proxy, trusted) as channel:
        apis = protos.prediction_service_pb2_grpc
        stub = apis.PredictionServiceStub(channel)
        yield lambda *metadata: stub.Predict(request, metadata=metadata)


KEY = ("authorization", "Bearer sesame")


@installed
def test_grpc_with_a_key_and_without(predict):
    assert predict(KEY).model_spec.version.value == 1
    for wrong in ((), (("authorization", "Bearer wrong"),)):
        with pytest.raises(grpc.RpcError) as caught:
            predict(*wrong)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "a key or a certificate" in caught.value.details()


@installed
def test_rest_with_a_key_and_without(proxy):
    url = f"https://{proxy}/v1/models/{contract.MODEL_NAME}"
    with httpx.Client(verify=False) as web:
        found = web.get(url, headers=dict([KEY]))
        assert found.status_code == 200
        assert "model_version_status" in found.json()
        assert web.get(url).status_code == 401
        assert "key" in web.get(url).json()["error"]


@installed
def test_what_is_for_those_inside_stays_there(proxy):
    with httpx.Client(verify=False, headers=dict([KEY])) as web:
        for path in ("/monitoring/prometheus/metrics", RELOAD, "/livez"):
            assert web.get(f"https://{proxy}{path}").status_code == 404


@installed
def test_too_many_requests_are_told_so(proxy, predict):
    url = f"https://{proxy}/v1/models/none"
    with httpx.Client(verify=False, headers=dict([KEY])) as web:
        statuses = {web.get(url).status_code for _ in range(200)}
    assert statuses == {404, 429}
    with pytest.raises(grpc.RpcError) as caught:
        for _ in range(20):
            predict(KEY)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
