"""Predict over REST, for `serving.client.tag_client`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from serving.api import contract
from serving.api.prediction import Prediction, VersionStatus, to_prediction
from serving.api.tag_options import TagOptions
from serving.client.client_options import ClientOptions
from serving.client.retries import retrying, server_error

_CODES = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
_MAX_MESSAGE = 1000  # characters; some servers send the request back


class RestTransport:
    """One connection pool to a server."""

    def __init__(self, address: str, options: ClientOptions):
        self._model = "/v1/models/" + quote(options.model, safe="")
        self._version = _version_path(options)
        # A proxy set for the network would be asked for loopback too.
        self._http = httpx.Client(
            base_url=f"{'https' if options.tls else 'http'}://{address}",
            verify=options.tls.context() if options.tls else True,
            timeout=options.timeout_s,
            trust_env=False,
        )
        self._ask_again = retrying()

    def predict(
        self, images: Sequence[bytes], options: TagOptions | None = None
    ) -> list[Prediction]:
        """Sends one request."""
        signature = contract.TAGS if options is None else contract.SELECT
        wanted = options.row() if options else {}
        rows = [{contract.IMAGE_BYTES: _b64(i), **wanted} for i in images]
        body = {"signature_name": signature, "instances": rows}
        reply = self._ask_again(
            self._call,
            "POST",
            f"{self._model}{self._version}:predict",
            json.dumps(body).encode(),
        )
        return [to_prediction(row) for row in reply["predictions"]]

    def status(self) -> list[VersionStatus]:
        """Asks which versions the server has."""
        path = self._model + self._version
        reply = self._ask_again(self._call, "GET", path)
        return [
            VersionStatus(
                int(found["version"]),
                found["state"],
                found["status"]["error_message"],
            )
            for found in reply["model_version_status"]
        ]

    def version(self) -> int:
        """Asks which version answers."""
        path = f"{self._model}{self._version}/metadata"
        return int(self._call("GET", path)["model_spec"]["version"])

    def _call(
        self, method: str, path: str, body: bytes | None = None
    ) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, content=body)
        except httpx.TimeoutException as error:
            raise server_error("DEADLINE_EXCEEDED", str(error)) from error
        except httpx.TransportError as error:
            raise server_error("UNAVAILABLE", str(error)) from error
        status = response.status_code
        if status != 200:
            code = _CODES.get(status, str(status))
            raise server_error(code, _message(response))
        try:
            return response.json()
        except ValueError as error:
            message = f"no JSON: {response.text[:_MAX_MESSAGE]!r}"
            raise server_error("UNKNOWN", message) from error

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()


def _b64(image: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(image).decode("ascii")}


def _version_path(options: ClientOptions) -> str:
    if options.version is not None:
        return f"/versions/{options.version}"
    if options.version_label:
        return "/labels/" + quote(options.version_label, safe="")
    return ""


def _message(response: httpx.Response) -> str:
    """Returns what the server says is wrong, in one line."""
    try:
        message = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        message = response.text
    return " ".join(message.split())[:_MAX_MESSAGE]
