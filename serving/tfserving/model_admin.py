"""Asks a server's ModelService: which versions, and a new list of models.

Speaks to TensorFlow Serving and to `tagforest serve` alike. Needs no
TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.client_tls import ClientTls
from serving.api.prediction import VersionStatus, version_statuses
from serving.client.grpc_client import open_channel

_POLL_S = 0.1
# A failure of a former try is listed until the server tries again.
_STALE_S = 10.0

_UNKNOWN = VersionStatus(0, "UNKNOWN")


class ModelAdmin:
    """One connection to a server's ModelService.

    Args:
        address: `host:port` for gRPC.
        tls: whom to trust; None for a connection without TLS.
        timeout_s: for one reload, and for a version to become available.
    """

    def __init__(
        self,
        address: str,
        tls: ClientTls | None = None,
        timeout_s: float = 300.0,
    ):
        self.address = address
        self._timeout_s = timeout_s
        self._channel = open_channel(address, tls)
        self._stub = protos.model_service_pb2_grpc.ModelServiceStub(
            self._channel
        )

    def reload(self, config: Any) -> None:
        """Sends a `ModelServerConfig`: all models that are to be served.

        Raises:
            InputError: no server answers, or it refuses.
        """
        message = protos.model_management_pb2.ReloadConfigRequest(config=config)
        self._call(self._stub.HandleReloadConfigRequest, message)

    def states(self, model: str) -> dict[int, VersionStatus]:
        """Returns version -> state of a model.

        Raises:
            InputError: no server answers, or it has no such model.
        """
        request = protos.get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        reply = self._call(self._stub.GetModelStatus, request)
        return {found.version: found for found in version_statuses(reply)}

    def wait_until_available(
        self, model: str, version: int, before: VersionStatus | None = None
    ) -> None:
        """Waits until a version answers.

        Args:
            before: its state before it was asked for; a failure that is the
                same may be that of a former try.

        Raises:
            InputError: it does not load, or not in time.
        """
        start = time.monotonic()
        while True:
            now = self.states(model).get(version, _UNKNOWN)
            waited = time.monotonic() - start
            if now.is_available:
                return
            if now.has_failed and (now != before or waited > _STALE_S):
                raise InputError(
                    f"version {version} of {model} does not load on "
                    f"{self.address}: {now.error}"
                )
            # Whatever it says from now on is of this try.
            if now != before:
                before = None
            if waited > self._timeout_s:
                hint = (
                    "its log says why"
                    if now != _UNKNOWN
                    else "is its folder in the model's base_path, as the "
                    "server sees it?"
                )
                raise InputError(
                    f"version {version} of {model} is not available on "
                    f"{self.address} after {waited:.0f} s; {hint}"
                )
            time.sleep(_POLL_S)

    def _call(self, method: Callable, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            code = error.code().name
            raise InputError(
                f"the server at {self.address} says {code}: {error.details()}"
            ) from error

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def __enter__(self) -> ModelAdmin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
