"""Predict over REST, for `serving.client.tag_client`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import httpx

from serving.api import contract
from serving.api.prediction import Answer, VersionStatus, to_answer
from serving.api.tag_options import TagOptions
from serving.client.client_options import ClientOptions, rest_path
from serving.client.retries import retrying, server_error

_CODES = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
_MAX_MESSAGE = 1000  # characters; some servers send the request back


class RestTransport:
    """One connection pool to a server."""

    def __init__(self, address: str, options: ClientOptions):
        self._path = rest_path(options)
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
    ) -> list[Answer]:
        """Sends one request."""
        signature = contract.TAGS if options is None else contract.SELECT
        wanted = options.row() if options else {}
        rows = [{contract.IMAGE_BYTES: _b64(i), **wanted} for i in images]
        body = {"signature_name": signature, "instances": rows}
        reply = self._ask_again(
            self._call,
            "POST",
            f"{self._path}:predict",
            json.dumps(body).encode(),
        )
        return [to_answer(_decoded(row)) for row in reply["predictions"]]

    def status(self) -> list[VersionStatus]:
        """Asks which versions the server has."""
        reply = self._ask_again(self._call, "GET", self._path)
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
        return int(self._metadata()["model_spec"]["version"])

    def signatures(self) -> set[str]:
        """Asks which signatures the version has."""
        reply = self._ask_again(self._metadata)
        return set(reply["metadata"]["signature_def"]["signature_def"])

    def _metadata(self) -> dict[str, Any]:
        return self._call("GET", f"{self._path}/metadata")

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


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    if contract.MASK not in row:
        return row
    return {**row, contract.MASK: base64.b64decode(row[contract.MASK]["b64"])}


def _message(response: httpx.Response) -> str:
    """Returns what the server says is wrong, in one line."""
    try:
        message = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        message = response.text
    return " ".join(message.split())[:_MAX_MESSAGE]
