"""TensorFlow Serving's REST API: :predict, status and metadata, as an app.

Routing and codes follow `model_servers/http_rest_api_handler.cc`: inside
`/v1/` whatever matches no call is 400 `Malformed request`, never 404 or 405.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import re
import threading
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anyio
import numpy as np
from google.protobuf import json_format
from grpc import StatusCode
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from serving.api import protos
from serving.api.errors import (
    RequestError,
    from_exception,
    invalid_argument,
)
from serving.api.server_options import ServerOptions
from serving.server import (
    answers,
    json_examples,
    json_tensors,
    served,
)
from serving.server.inference import run_classify, run_regress
from serving.server.loaded_version import LoadedVersion
from serving.server.model_registry import ModelRegistry
from serving.server.request_body import HeldBytes, read_body
from serving.server.request_metrics import CONTENT_TYPE, PATH, RequestMetrics
from serving.server.versions import VersionState

_THREADS = 64  # Most of them wait for the model, in its queue.
_OTHER_THREADS = 4
# Of a reply; below, gzip saves no packet.
_LEAST_TO_ZIP = 1400
# What is left of the body is not waited for.
_TOO_LARGE = 413
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


@dataclass(frozen=True)
class _Asked:
    """A request that has been read.

    Attributes:
        deadline: on the clock of `time.monotonic`.
        hung_up: set when nobody waits for the answer.
    """

    method: str
    path: str
    body: bytes
    deadline: float
    hung_up: threading.Event
    takes_gzip: bool


class RestApp:
    """The ASGI application.

    Attributes:
        is_draining: it answers still, but says that it wants no more.
        is_closed: it refuses what comes.
        running: requests that are read, wait or run.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        options: ServerOptions | None = None,
    ):
        self._versions = versions
        self._metrics = metrics
        options = options or ServerOptions()
        self._options, self._most_requests = options.rest, options.most_requests
        self._limiters: dict[bool, anyio.CapacityLimiter] = {}
        self._held = HeldBytes()
        self.is_draining = self.is_closed = False
        self.running = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return  # no websockets
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = _path_of(request)
        asked = path.partition("?")[0]
        if request.method in ("GET", "HEAD") and asked in _WATCHED:
            response = self._watched(asked)
        elif not re.match(r"(?i)/v1/", path):
            response = HTMLResponse("<h1>Not Found</h1>", status_code=404)
        else:
            response = await self._respond_v1(request, path)
            if self._options.cors:
                response.headers.update(_CORS)
        if self.is_draining:
            # So that the client's next request goes elsewhere.
            response.headers["connection"] = "close"
        return response

    async def _respond_v1(self, request: Request, path: str) -> Response:
        # So a browser asks before it sends JSON to another site.
        if request.method == "OPTIONS":
            origin = request.headers.get("origin", "")
            return Response(status_code=200 if _ORIGIN.search(origin) else 400)
        # Status and metadata, which some take for probes, wait for no model.
        is_call = request.method == "POST"
        try:
            if is_call:
                self._admit()
            with self._counted(), self._held.lease() as take:
                served.headers.set(request.headers.items)
                body = await read_body(request, take)
                deadline = time.monotonic() + self._options.timeout_s
                async with _noticed(request) as hung_up:
                    asked = _Asked(
                        request.method,
                        path,
                        body,
                        deadline,
                        hung_up,
                        _takes_gzip(request),
                    )
                    return await anyio.to_thread.run_sync(
                        self._answer, asked, limiter=self._limit(is_call)
                    )
        except Exception as raised:
            error = from_exception(raised)
            reply = json.dumps({"error": error.message}, indent=4)
            response = _json(reply, error.http_status)
            if error.http_status == _TOO_LARGE:
                response.headers["connection"] = "close"
            return response

    def _admit(self) -> None:
        most = self._most_requests
        if not self.is_closed and self.running < most:
            return
        reason, message = (
            ("stopping", "the server is shutting down: ask another one")
            if self.is_closed
            else ("requests", f"{most} requests wait: try again")
        )
        self._metrics.refused("REST", reason)
        raise RequestError(StatusCode.UNAVAILABLE, message)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    def _watched(self, path: str) -> Response:
        """Answers who watches over the server."""
        if path == PATH:
            return Response(self._metrics.page(), media_type=CONTENT_TYPE)
        if path == LIVE:
            return PlainTextResponse("alive\n")
        if self._versions.is_ready and not self.is_draining:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503)

    def _limit(self, is_call: bool) -> anyio.CapacityLimiter:
        # Made inside the event loop, as anyio asks.
        if is_call not in self._limiters:
            threads = _THREADS if is_call else _OTHER_THREADS
            self._limiters[is_call] = anyio.CapacityLimiter(threads)
        return self._limiters[is_call]

    def _answer(self, asked: _Asked) -> Response:
        method, path = asked.method, asked.path
        call = _CALL.fullmatch(path)
        if method == "POST" and call:
            return self._call(call, asked)
        lookup = _LOOKUP.fullmatch(path)
        if method == "GET" and lookup:
            return self._lookup(lookup)
        raise invalid_argument(f"Malformed request: {method} {path}")

    def _call(self, match: re.Match, asked: _Asked) -> Response:
        method, name = match["method"].lower(), unquote(match["name"])
        with self._metrics.measure(name, method, "REST"):
            version, label = _version_of(match)
            document = json_tensors.parse_document(asked.body)
            read, run, write = _METHODS[method]
            request = answers.Request(
                model=name,
                version=version,
                label=label,
                signature_name=json_tensors.signature_name_of(document),
                content=read(document),
                deadline=asked.deadline,
                cancelled=asked.hung_up,
            )
            reply = write(answers.run(self._versions, request, run), document)
            text = json.dumps(reply, ensure_ascii=False)
            return _json(text, takes_gzip=asked.takes_gzip)

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


def _json(
    text: str, status: int = 200, *, takes_gzip: bool = False
) -> Response:
    if not takes_gzip or len(text) < _LEAST_TO_ZIP:
        return Response(text, status, media_type="application/json")
    # Numbers shrink to a half at the fastest level, and hardly more at others.
    body = gzip.compress(text.encode(), 1, mtime=0)
    headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(body, status, headers, "application/json")


def _takes_gzip(request: Request) -> bool:
    for offer in request.headers.get("accept-encoding", "").split(","):
        coding, _, quality = offer.replace(" ", "").lower().partition(";")
        if coding == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", quality)
    return False


@asynccontextmanager
async def _noticed(request: Request) -> AsyncIterator[threading.Event]:
    """Yields what is set when the client goes away."""
    hung_up = threading.Event()

    async def wait() -> None:
        # The body has been read: there is nothing else to receive.
        await request.receive()
        hung_up.set()

    waiting = asyncio.ensure_future(wait())
    try:
        yield hung_up
    finally:
        waiting.cancel()
