from __future__ import annotations

import base64
import gzip
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from serving.api import contract
from serving.api.server_options import RestOptions, ServerOptions
from serving.server.local_server import running_server
from tests.helpers.images import encode, noise_image

RED = np.full((8, 6, 3), (255, 0, 0), np.uint8)
PREDICT = "/v1/models/tagforest:predict"


@pytest.fixture(scope="module")
def http(server):
    base = f"http://{server.rest_address}"
    with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
        yield client


def b64(image: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(image).decode()}


def test_rows(http):
    rows = [b64(noise_image(1)), b64(b"broken"), {"b64": ""}]
    reply = http.post(PREDICT, json={"instances": rows})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    good, bad, empty = reply.json()["predictions"]
    assert good["valid"] and len(good["names"]) == 3
    assert good["scores"] == sorted(good["scores"], reverse=True)
    assert bad == empty
    vocabulary = good["vocabulary_version"]
    assert len(vocabulary) == 64
    assert bad == {
        "valid": False,
        "names": ["", "", ""],
        "wnids": ["", "", ""],
        "parents": ["", "", ""],
        "scores": [0.0, 0.0, 0.0],
        "leaf": [False, False, False],
        "is_tag": [False, False, False],
        "model_version": "",
        "vocabulary_version": vocabulary,
    }


def test_boxes_and_masks(task_server):
    """Rows are independent; the name of the masks has them written as b64."""

    def ask(model: str, signature: str) -> list[dict]:
        rows = [b64(encode(RED)), b64(b"broken")]
        reply = httpx.post(
            f"http://{task_server.rest_address}/v1/models/{model}:predict",
            json={"signature_name": signature, "instances": rows},
            trust_env=False,
            timeout=30,
        )
        return reply.json()["predictions"]

    good, bad = ask("boxes", "detect")
    nothing = [0.0] * 4
    # A dog on the left half, of 8 x 6 pixels; a cat scores 0 in the lower one.
    assert good["boxes"] == [
        [0.0, 0.0, 8.0, 3.0],
        [4.0, 0.0, 8.0, 6.0],
        nothing,
    ]
    assert good["names"] == ["dog", "cat", ""]
    assert good["scores"] == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert (bad["valid"], bad["boxes"]) == (False, [nothing] * 3)
    assert bad["names"] == bad["wnids"] == ["", "", ""]

    good, bad = ask("masks", "segment")
    png = base64.b64decode(good["mask_bytes"]["b64"])
    assert np.asarray(Image.open(io.BytesIO(png))).tolist() == [[1] * 6] * 8
    assert good["shares"] == [0.0, 1.0, 0.0]
    assert good["names"] == ["background", "dog", "cat"]
    assert (bad["valid"], bad["mask_bytes"]) == (False, {"b64": ""})


def test_columns_and_named_rows_give_the_same(http):
    image = b64(noise_image(1))
    rows = http.post(PREDICT, json={"instances": [image]}).json()
    named = {"instances": [{"image_bytes": image}]}
    columns = {"inputs": {"image_bytes": [image]}}
    found = http.post(PREDICT, json=columns).json()["outputs"]
    assert http.post(PREDICT, json=named).json() == rows
    assert {k: v[0] for k, v in found.items()} == rows["predictions"][0]


def test_signature_version_case_and_gzip(http):
    body = {"signature_name": "scores", "instances": [b64(noise_image(1))]}
    expected = http.post(PREDICT, json=body).json()
    assert len(expected["predictions"][0]["scores"]) == 4
    pinned = "/V1/Models/tagforest/Versions/1:Predict"
    packed = gzip.compress(json.dumps(body).encode())
    headers = {"content-encoding": "gzip"}
    reply = http.post(pinned, content=packed, headers=headers)
    assert reply.json() == expected


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("PUT", PREDICT, 400, "Malformed request: PUT"),
        ("POST", PREDICT + "?x=y", 400, "Malformed request: POST"),
        ("POST", "/v1/models/tagforest/metadata", 400, "Malformed request"),
        ("GET", "/v1/models/tagforest/version/1", 400, "Malformed request"),
        ("GET", "/v1/models/tagforest/versions/A", 400, "Malformed request"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/x", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/tagforest/versions/9", 404, "Could not find"),
        ("GET", "/v1/models/x/metadata", 404, "request: Latest(x)"),
        (
            "GET",
            f"/v1/models/tagforest/versions/{2**63}",
            400,
            "Failed to convert version",
        ),
        (
            "GET",
            "/v1/models/tagforest/labels/stable/metadata",
            400,
            "Unrecognized servable version label: stable",
        ),
    ],
)
def test_routing(http, method, path, status, message):
    reply = http.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json"
    assert message in reply.json()["error"]


def test_outside_of_v1_is_html(http):
    reply = http.get("/v2/models")
    assert reply.status_code == 404
    assert reply.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (PREDICT, "", 400, "JSON Parse error: The document is empty"),
        (PREDICT, "{", 400, "at offset: 1"),
        (PREDICT, "[1]", 400, "Is not object"),
        (PREDICT, "{}", 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, '{"instances": [1]}', 400, "not of expected type: string"),
        (PREDICT, '{"instances": [["a"]]}', 400, "expected shape (None,)"),
        (PREDICT, '{"signature_name": 1}', 400, "must be a string"),
        (
            PREDICT,
            '{"signature_name": "x", "instances": ["a"]}',
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        ("/v1/models/x:predict", "{", 400, "JSON Parse error"),
        ("/v1/models/x:predict", "{}", 404, "request: Latest(x)"),
        (
            "/v1/models/tagforest/versions/50:predict",
            "{}",
            404,
            "request: Specific(tagforest, 50)",
        ),
    ],
)
def test_bad_bodies(http, path, body, status, message):
    reply = http.post(path, content=body)
    assert (reply.status_code, message in reply.json()["error"]) == (
        status,
        True,
    ), reply.text


def test_oversized_bodies_are_refused_unread(http, monkeypatch):
    monkeypatch.setattr(contract, "MAX_REQUEST_BYTES", 1000)
    bomb = gzip.compress(b" " * 1_000_000)[:999]
    sent = [
        {"content": b" " * 1001},
        {"content": iter([b" " * 600] * 2)},
        {
            "content": gzip.compress(b" " * 100_000),
            "headers": {"content-encoding": "gzip"},
        },
    ]
    for arguments in sent:
        reply = http.post(PREDICT, **arguments)
        assert reply.status_code == 413
        assert "1000 bytes at most" in reply.json()["error"]
    reply = http.post(
        PREDICT, content=bomb, headers={"content-encoding": "gzip"}
    )
    assert reply.status_code in (400, 413)


def test_status(http):
    assert http.get("/v1/models/tagforest/versions/1").json() == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_metadata(http):
    found = http.get("/v1/models/tagforest/metadata").json()
    assert found["model_spec"] == {
        "name": "tagforest",
        "signature_name": "",
        "version": "1",
    }
    signatures = found["metadata"]["signature_def"]["signature_def"]
    default = signatures["serving_default"]
    assert default["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert default["method_name"] == "tensorflow/serving/predict"


def test_cors_and_timeout(model_base):
    rest = RestOptions(timeout_s=1e-6, cors=True)
    options = ServerOptions(grpc_port=0, rest_port=0, rest=rest)
    with running_server(model_base, options) as server:
        base = f"http://{server.rest_address}"
        with httpx.Client(base_url=base, trust_env=False) as http:
            origin = {"origin": "https://example.org"}
            preflight = http.options(PREDICT, headers=origin)
            status = http.get("/v1/models/tagforest")
            bad = http.get("/v1/models/stranger")
            body = {"instances": [b64(noise_image(1))]}
            late = http.post(PREDICT, json=body)
    assert preflight.status_code == 200 and bad.status_code == 404
    for reply in (preflight, status, bad):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-methods"] == "POST, GET"
        allowed = reply.headers["access-control-allow-headers"]
        assert allowed == "Content-Type"
    # The deadline passes in the queue, or while the graph runs.
    assert late.status_code in (429, 504)


def test_a_context_for_each_example_is_bounded(http, monkeypatch):
    monkeypatch.setattr(contract, "MAX_REQUEST_BYTES", 2000)
    body = {
        "signature_name": "classify",
        "context": {"image/encoded": "a" * 500},
        "examples": [{}] * 5,
    }
    reply = http.post("/v1/models/tagforest:classify", json=body)
    assert reply.status_code == 400
    assert "2000 bytes are allowed" in reply.json()["error"]
