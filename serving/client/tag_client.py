"""A client for a served tagger, over gRPC or REST, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from serving import contract
from serving.client.client_options import (
    TRANSPORTS,
    ClientOptions,
    parse_server,
)
from serving.prediction import Prediction, ServerError, VersionStatus
from serving.tag_options import TagOptions

__all__ = [
    "TRANSPORTS",
    "ClientOptions",
    "ServerError",
    "TagClient",
    "TagOptions",
]

_CHUNK_BYTES = 16 * 1024**2
_CHUNK_IMAGES = 64


class _Transport(Protocol):
    def predict(
        self, images: Sequence[bytes], options: TagOptions | None
    ) -> list[Prediction]: ...

    def status(self) -> list[VersionStatus]: ...

    def close(self) -> None: ...


class TagClient:
    """Tags images on a server that speaks TensorFlow Serving's API.

    Batches are cut by bytes and by number, waits and message limits are set,
    and a busy or starting server (UNAVAILABLE) is asked again, five times.

    Args:
        address: `host:port`, or a URL; see `parse_server`.
        transport: `grpc` or `rest`; None for what the address says, else
            gRPC.
        options: which model and version, and how patiently.

    Raises:
        InputError: another transport, or an address without port.

    Example:
        >>> with TagClient("127.0.0.1:8500") as client:  # doctest: +SKIP
        ...     client.tag([Path("dog.jpg").read_bytes()])
    """

    def __init__(
        self,
        address: str | None = None,
        transport: str | None = None,
        options: ClientOptions | None = None,
    ):
        self.options = options or ClientOptions()
        secure = self.options.tls is not None
        transport, self.address = parse_server(address, transport, secure)
        self._transport = _connect(self.address, transport, self.options)

    def tag(
        self, images: Sequence[bytes], options: TagOptions | None = None
    ) -> list[Prediction]:
        """Returns a prediction for every image file, in order.

        An image over the server's limit of bytes is not sent: it is not
        valid.

        Args:
            images: whole files.
            options: which classes are tags; None for the best ones, however
                little they score.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return [
            prediction
            for chunk in _chunks(images)
            for prediction in self._transport.predict(chunk, options)
        ]

    def status(self) -> list[VersionStatus]:
        """Returns the versions of the model on the server, newest first.

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        found = self._transport.status()
        return sorted(found, key=lambda s: s.version, reverse=True)

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def __enter__(self) -> TagClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(
    address: str, transport: str, options: ClientOptions
) -> _Transport:
    # Either library takes a quarter of a second to import: only the one.
    if transport == "grpc":
        from serving.client.grpc_client import GrpcTransport

        return GrpcTransport(address, options)
    from serving.client.rest_client import RestTransport

    return RestTransport(address, options)


def _chunks(images: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for image in images:
        sent = image if len(image) <= contract.MAX_IMAGE_BYTES else b""
        full = len(chunk) == _CHUNK_IMAGES or size + len(sent) > _CHUNK_BYTES
        if chunk and full:
            yield chunk
            chunk, size = [], 0
        chunk.append(sent)
        size += len(sent)
    if chunk:
        yield chunk
