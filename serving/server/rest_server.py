"""TensorFlow Serving's REST API: :predict, status and metadata.

Routing and codes follow `model_servers/http_rest_api_handler.cc`: inside
`/v1/` whatever matches no call is 400 `Malformed request`, never 404 or 405.
"""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import anyio
import numpy as np
import uvicorn
from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.errors import from_exception, invalid_argument
from serving.api.server_options import RestOptions
from serving.api.sockets import bind
from serving.server import answers, json_examples, json_tensors
from serving.server.inference import run_classify, run_regress
from serving.server.model_registry import ModelRegistry
from serving.server.request_body import read_body
from serving.server.request_metrics import CONTENT_TYPE, PATH, RequestMetrics
from serving.server.tls import ServerTls
from serving.server.versions import LoadedVersion, VersionState

_THREADS = 64  # Most of them wait for the model, in its queue.
# Each may hold a body of `MAX_REQUEST_BYTES`.
_CONNECTIONS = 256
_ORIGIN = re.compile("https?://")
_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}
# For who watches over the server, beside what TensorFlow Serving has.
LIVE = "/livez"
READY = "/readyz"
_WATCHED = (LIVE, READY, PATH)
# Capitals do not count, as in TensorFlow Serving's own patterns.
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_CALL = re.compile(
    rf"(?i)/v1/models/(?P<name>[^/:]+){_VERSION}"
    r":(?P<method>classify|regress|predict)"
)
_LOOKUP = re.compile(
    rf"(?i)/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?"
)


class RestApp:
    """The ASGI application.

    Attributes:
        is_stopping: it answers still, but wants no more requests.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        options: RestOptions | None = None,
    ):
        self._versions = versions
        self._metrics = metrics
        self._options = options or RestOptions()
        self._limiter: anyio.CapacityLimiter | None = None
        self.is_stopping = False

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return  # no websockets
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = _path_of(request)
        if request.method == "GET" and path in _WATCHED:
            return self._watched(path)
        if not re.match(r"(?i)/v1/", path):
            return HTMLResponse("<h1>Not Found</h1>", status_code=404)
        response = await self._respond_v1(request, path)
        if self._options.cors:
            response.headers.update(_CORS)
        return response

    async def _respond_v1(self, request: Request, path: str) -> Response:
        # So a browser asks before it sends JSON to another site.
        if request.method == "OPTIONS":
            origin = request.headers.get("origin", "")
            return Response(status_code=200 if _ORIGIN.search(origin) else 400)
        try:
            body = await read_body(request)
            return await anyio.to_thread.run_sync(
                self._answer, request.method, path, body, limiter=self._limit()
            )
        except Exception as raised:
            error = from_exception(raised)
            reply = json.dumps({"error": error.message}, indent=4)
            return _json(reply, error.http_status)

    def _watched(self, path: str) -> Response:
        """Answers who watches over the server."""
        if path == PATH:
            return Response(self._metrics.page(), media_type=CONTENT_TYPE)
        if path == LIVE:
            return PlainTextResponse("alive\n")
        if self._versions.is_ready and not self.is_stopping:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503)

    def _limit(self) -> anyio.CapacityLimiter:
        # Made inside the event loop, as anyio asks.
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        return self._limiter

    def _answer(self, method: str, path: str, body: bytes) -> Response:
        call = _CALL.fullmatch(path)
        if method == "POST" and call:
            return self._call(call, body)
        lookup = _LOOKUP.fullmatch(path)
        if method == "GET" and lookup:
            return self._lookup(lookup)
        raise invalid_argument(f"Malformed request: {method} {path}")

    def _call(self, match: re.Match, body: bytes) -> Response:
        method, name = match["method"].lower(), unquote(match["name"])
        with self._metrics.measure(name, method, "REST"):
            version, label = _version_of(match)
            document = json_tensors.parse_document(body)
            read, run, write = _METHODS[method]
            request = answers.Request(
                model=name,
                version=version,
                label=label,
                signature_name=json_tensors.signature_name_of(document),
                content=read(document),
                deadline=time.monotonic() + self._options.timeout_s,
            )
            reply = write(answers.run(self._versions, request, run), document)
            return _json(json.dumps(reply, ensure_ascii=False))

    def _lookup(self, match: re.Match) -> Response:
        if not match["name"]:
            raise invalid_argument("Missing model name in request.")
        name, (version, label) = unquote(match["name"]), _version_of(match)
        if match["metadata"]:
            request = answers.Request(name, version, label)
            found = answers.run(self._versions, request, answers.metadata)
            return _json(json.dumps(_metadata(name, *found), indent=4))
        # TensorFlow Serving ignores a label here.
        states = self._versions.states_of(name, version)
        return _json(json.dumps(_status(states), indent=4))


def _read_inputs(
    document: Mapping[str, Any], loaded: LoadedVersion, name: str
) -> dict[str, np.ndarray]:
    signature = loaded.servable.signatures.get(name)
    if signature is None:
        # Other words, and another code, than over gRPC: so has TensorFlow
        # Serving.
        raise invalid_argument(
            f'Serving signature name: "{name}" not found in signature def'
        )
    return json_tensors.read_inputs(document, signature)


# What reads the content, what answers, and what writes: answer, document.
_METHODS: dict[str, tuple[Callable, Callable, Callable]] = {
    "predict": (
        lambda document: functools.partial(_read_inputs, document),
        answers.predict,
        json_tensors.write_outputs,
    ),
    "classify": (
        json_examples.read_input,
        run_classify,
        lambda found, _: json_examples.write_classifications(found),
    ),
    "regress": (
        json_examples.read_input,
        run_regress,
        lambda found, _: json_examples.write_regressions(found),
    ),
}


def _version_of(match: re.Match) -> tuple[int | None, str]:
    """Returns the version of a path, and its label."""
    if match["version"] is None:
        return None, unquote(match["label"] or "")
    # Longer ones cannot be int64, and converting them takes time.
    if len(match["version"]) > 20 or int(match["version"]) >= 2**63:
        raise invalid_argument(
            f"Failed to convert version: {match['version'][:64]} to numeric."
        )
    return int(match["version"]), ""


def _metadata(
    name: str, version: int, signatures: Mapping[str, Any]
) -> dict[str, Any]:
    table = {
        key: json_format.MessageToDict(value, preserving_proto_field_name=True)
        for key, value in sorted(signatures.items())
    }
    return {
        "model_spec": {
            "name": name,
            "signature_name": "",
            "version": str(version),
        },
        "metadata": {"signature_def": {"signature_def": table}},
    }


def _status(versions: Sequence[VersionState]) -> dict[str, Any]:
    states = protos.get_model_status_pb2.ModelVersionStatus.State
    return {
        "model_version_status": [
            {
                "version": str(found.version),
                "state": states.Name(found.state),
                "status": {
                    "error_code": "UNKNOWN" if found.error else "OK",
                    "error_message": found.error,
                },
            }
            for found in versions
        ]
    }


def _path_of(request: Request) -> str:
    # As it came: a %2F in a name is no slash.
    raw = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.decode("latin-1").split("?")[0]
    query = request.scope.get("query_string", b"").decode("latin-1")
    # A query is part of the path to TensorFlow Serving: nothing matches.
    return f"{path}?{query}" if query else path


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _context_of(tls: ServerTls | None) -> Callable | None:
    return None if tls is None else lambda *_: tls.context()


class RestServer:
    """The REST side of the server, bound but not yet answering.

    Raises:
        InputError: the port is in use.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        host: str,
        port: int,
        options: RestOptions | None = None,
        tls: ServerTls | None = None,
    ):
        self._app = RestApp(versions, metrics, options)
        self._socket = bind(host, port, "REST")
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            # Not whichever happens to be installed: one behaviour everywhere.
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_level="warning",
            access_log=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=60,
            ssl_context_factory=_context_of(tls),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()
        while not self._server.started:  # uvicorn has no event for it.
            if not self._thread.is_alive():
                raise InputError("the REST server did not start")
            time.sleep(0.01)

    def stop(self, grace_s: float) -> None:
        """Refuses new connections, lets running requests finish."""
        self._app.is_stopping = True
        if self._thread.is_alive():
            # uvicorn takes whole seconds.
            self._server.config.timeout_graceful_shutdown = max(1, int(grace_s))
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()
