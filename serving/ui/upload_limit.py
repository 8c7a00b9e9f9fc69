"""Refuses uploads that are too large, before they are read."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import contract

# Boundaries and headers of the form around the file.
_FORM_BYTES = 64 * 1024
MOST_BODY_BYTES = contract.MAX_IMAGE_BYTES + _FORM_BYTES


class UploadLimit:
    """Passes on requests whose body is declared, and no larger than that.

    Args:
        most_bytes: of a body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BODY_BYTES):
        self._app, self._most_bytes = app, most_bytes

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        refusal = self._refusal(scope)
        app = self._app if refusal is None else refusal
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if scope["type"] != "http":
            return None
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers:
            return PlainTextResponse("Content-Length is needed", 411)
        # The HTTP parser lets digits through alone, and cuts the body there.
        if int(headers.get(b"content-length", 0)) > self._most_bytes:
            return PlainTextResponse("the upload is too large", 413)
        return None
