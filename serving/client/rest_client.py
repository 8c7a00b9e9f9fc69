"""Predict over REST, for `serving.client.tag_client`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import httpx
import tenacity

from serving import contract
from serving.prediction import Prediction, ServerError, to_prediction
from serving.tag_options import TagOptions
from serving.tls import ClientTls

_ATTEMPTS = 5
_BACKOFF_S = (0.1, 2.0)  # first and longest wait


class RestTransport:
    """One connection pool to a server."""

    def __init__(
        self,
        address: str,
        model: str,
        timeout_s: float,
        tls: ClientTls | None = None,
    ):
        self._path = f"/v1/models/{model}:predict"
        # A proxy set for the network would be asked for loopback too.
        self._http = httpx.Client(
            base_url=f"{'https' if tls else 'http'}://{address}",
            verify=tls.context() if tls else True,
            timeout=timeout_s,
            trust_env=False,
        )
        self._post_again = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_unavailable),
            wait=tenacity.wait_random_exponential(_BACKOFF_S[0], _BACKOFF_S[1]),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )

    def predict(
        self, images: Sequence[bytes], options: TagOptions | None = None
    ) -> list[Prediction]:
        """Sends one request."""
        signature = contract.TAGS if options is None else contract.SELECT
        wanted = options.row() if options else {}
        rows = [{contract.IMAGE_BYTES: _b64(i), **wanted} for i in images]
        body = {"signature_name": signature, "instances": rows}
        reply = self._post_again(self._post, json.dumps(body).encode())
        return [to_prediction(row) for row in reply["predictions"]]

    def _post(self, body: bytes) -> dict[str, Any]:
        try:
            response = self._http.post(self._path, content=body)
        except httpx.TimeoutException as error:
            raise ServerError("DEADLINE_EXCEEDED", str(error)) from error
        except httpx.TransportError as error:
            raise ServerError("UNAVAILABLE", str(error)) from error
        if response.status_code == 503:
            raise ServerError("UNAVAILABLE", response.text)
        if response.status_code != 200:
            raise ServerError(str(response.status_code), response.text)
        return response.json()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()


def _b64(image: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(image).decode("ascii")}


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, ServerError) and error.code == "UNAVAILABLE"
