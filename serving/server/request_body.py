"""The body of a REST request, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from grpc import StatusCode
from starlette.requests import Request

from serving.api import contract
from serving.api.errors import RequestError, invalid_argument

# Of all bodies that are held at a time.
MAX_HELD_BYTES = 16 * contract.MAX_REQUEST_BYTES

Take = Callable[[int], None]


class _TooLarge(RequestError):
    http_status = 413

    def __init__(self):
        limit = contract.MAX_REQUEST_BYTES
        error = invalid_argument(f"a request may have {limit} bytes at most")
        super().__init__(error.code, error.message)


class HeldBytes:
    """Counts the bytes of the bodies that all requests hold."""

    def __init__(self, most: int = MAX_HELD_BYTES):
        self._most = most
        self._held = 0

    @contextmanager
    def lease(self) -> Iterator[Take]:
        """Lets a request take bytes; it gives them back when it ends."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if self._held + count > self._most:
                raise RequestError(
                    StatusCode.UNAVAILABLE,
                    f"requests hold {self._held} bytes; at most {self._most} "
                    "are taken: try again",
                )
            taken += count
            self._held += count

        try:
            yield take
        finally:
            self._held -= taken


async def read_body(request: Request, take: Take) -> bytes:
    """Returns the body, inflated if it is gzip.

    Args:
        take: told of bytes as they come; see `HeldBytes.lease`.

    Raises:
        RequestError: INVALID_ARGUMENT, it is too large, as it comes or
            inflated, or no gzip; no more is read than the limit;
            UNAVAILABLE, others hold too much.
        ClientDisconnect: nobody sends the rest.
    """
    limit = contract.MAX_REQUEST_BYTES
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise _TooLarge()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _TooLarge()
        take(len(chunk))
        chunks.append(chunk)
    body = b"".join(chunks)
    if "gzip" in request.headers.get("content-encoding", "").lower():
        return _inflate(body, limit)
    return body


def _inflate(body: bytes, limit: int) -> bytes:
    # 16 more than 15, the largest window: with the header of gzip.
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(body, limit)
    except zlib.error as error:
        raise invalid_argument(f"not gzip: {error}") from error
    if inflater.unconsumed_tail:  # More than the limit; not unpacked.
        raise _TooLarge()
    return data
