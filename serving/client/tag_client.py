"""A client for a served tagger, over gRPC or REST, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from beam_jobs.errors import InputError
from serving import contract
from serving.prediction import Prediction, ServerError
from serving.tag_options import TagOptions
from serving.tls import ClientTls

__all__ = ["TRANSPORTS", "ServerError", "TagClient", "TagOptions"]

TRANSPORTS = ("grpc", "rest")
_CHUNK_BYTES = 16 * 1024**2
_CHUNK_IMAGES = 64


class _Transport(Protocol):
    def predict(
        self, images: Sequence[bytes], options: TagOptions | None
    ) -> list[Prediction]: ...

    def close(self) -> None: ...


class TagClient:
    """Tags images on a server that speaks TensorFlow Serving's API.

    Batches are cut by bytes and by number, waits and message limits are set,
    and a busy or starting server (UNAVAILABLE) is asked again, five times.

    Args:
        address: `host:port`.
        transport: `grpc` or `rest`.
        model: its name on the server.
        timeout_s: for one batch, retries included (gRPC) or each (REST).
        tls: of whom the server's certificate must be; None for no TLS.

    Raises:
        InputError: another transport, or an address without port.

    Example:
        >>> with TagClient("127.0.0.1:8500") as client:  # doctest: +SKIP
        ...     client.tag([Path("dog.jpg").read_bytes()])
    """

    def __init__(
        self,
        address: str,
        transport: str = "grpc",
        *,
        model: str = contract.MODEL_NAME,
        timeout_s: float = 60.0,
        tls: ClientTls | None = None,
    ):
        _check_address(address)
        if transport not in TRANSPORTS:
            raise InputError(
                f"transport must be one of {TRANSPORTS}; "
                f"received: {transport!r}"
            )
        self._transport = _connect(address, transport, model, timeout_s, tls)

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

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def __enter__(self) -> TagClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(
    address: str,
    transport: str,
    model: str,
    timeout_s: float,
    tls: ClientTls | None,
) -> _Transport:
    # Either library takes a quarter of a second to import: only the one.
    if transport == "grpc":
        from serving.client.grpc_client import GrpcTransport

        return GrpcTransport(address, model, timeout_s, tls)
    from serving.client.rest_client import RestTransport

    return RestTransport(address, model, timeout_s, tls)


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


def _check_address(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise InputError(
            "a server's address is HOST:PORT, as "
            f"127.0.0.1:{contract.GRPC_PORT}; received: {address!r}"
        )
