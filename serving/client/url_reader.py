"""Images of the web, fetched as `tagforest download` fetches them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib import metadata

import tenacity

from beam_jobs.download.fetch import (
    FetchError,
    Response,
    fetch,
    open_session,
)
from beam_jobs.download.options import FetchOptions
from beam_jobs.images.options import ImageLimits
from serving.api import contract
from serving.client.load_images import ImageProblem

_ATTEMPTS = 3
_LONGEST_WAIT_S = 5.0


def _version() -> str:
    for name in ("tagforest", "tagforest-client"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "0"


class UrlReader:
    """Fetches URLs, from any thread, until it is closed.

    Answers over the limit of an image's bytes, redirects to anything but
    http and https, and private addresses are refused.

    Args:
        connections: at a time.
        allow_private: ask private and loopback addresses too.
    """

    def __init__(self, connections: int, allow_private: bool = False):
        version = _version()
        self._options = FetchOptions(
            user_agent=f"tagforest/{version} (image tagger)",
            concurrency=connections,
            limits=ImageLimits(max_bytes=contract.MAX_IMAGE_BYTES),
            allow_private=allow_private,
        )
        # One loop for all threads: a session belongs to one.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="urls", daemon=True
        )
        self._thread.start()
        # Opened in the loop that it belongs to.
        self._session = self._run(self._open())

    async def _open(self):
        return open_session(self._options)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def read(self, url: str) -> bytes:
        """Returns what a URL answers with.

        Raises:
            ImageProblem: why there is nothing.
        """
        try:
            return self._run(self._read(url))
        except FetchError as error:
            raise ImageProblem(error.reason, str(error)) from error

    async def _read(self, url: str) -> bytes:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_random_exponential(0.5, _LONGEST_WAIT_S),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )
        response: Response = await attempts(
            fetch, self._session, url, self._options, _no_gate
        )
        return response.data

    def close(self) -> None:
        """Ends the connections; what is being fetched is given up."""
        try:
            self._run(self._close())
        except CancelledError:
            pass
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        # A session must not be closed under them.
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()


async def _no_gate(host: str) -> None:
    """Lets every redirect through."""


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, FetchError) and error.again
