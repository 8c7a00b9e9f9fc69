"""The versions that the page compares, and the questions it asks of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from serving.api.prediction import Answer, ServerError
from serving.client.client_options import ClientOptions
from serving.client.tag_client import TagClient

_REQUESTS = 8  # at once, of all tabs


@dataclass(frozen=True)
class Column:
    """One version of the model.

    Attributes:
        version: as requests name it: a number or a label.
        number: the one that a label stands for.
    """

    version: int | str
    number: int

    @property
    def key(self) -> str:
        """Stays the same when a label moves on."""
        return f"{self.version}"

    @property
    def text(self) -> str:
        """Returns its name for people."""
        if isinstance(self.version, str):
            return f"{self.version} (v{self.number})"
        return f"version {self.number}"


class Tagger:
    """Asks one server.

    Args:
        server: `host:port`, or a URL as the client takes it.
        options: which model, whom to trust.
        labels: to compare; none for the versions there are, because no
            server tells its labels.
        rest: `host:port` of its REST API; empty where nobody knows it.

    Attributes:
        options: as they were given.
        server: as it was given.
        address: `host:port` that is asked.
        rest: the same where that is asked over REST.

    Raises:
        InputError: no address.
    """

    def __init__(
        self,
        server: str,
        options: ClientOptions,
        labels: Sequence[str] = (),
        rest: str = "",
    ):
        self.options, self.server = options, server
        self._labels = tuple(labels)
        self._clients: dict[int | str, TagClient] = {}
        self._lock = threading.Lock()
        self._newest = TagClient(server, options=options)
        self.address = self._newest.address
        self.rest = self.address if self._newest.kind == "rest" else rest
        self._room = asyncio.Semaphore(_REQUESTS)

    async def columns(self) -> list[Column]:
        """Returns what can be compared: labels as given, or newest first.

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        return await asyncio.to_thread(self._columns)

    def _columns(self) -> list[Column]:
        numbers = [s.version for s in self._newest.status() if s.is_available]
        labels = []
        for label in self._labels:
            try:
                labels.append(Column(label, self._client(label).version()))
            except ServerError as error:
                # Any other: the server is there, and lacks the label.
                if error.code == "UNAVAILABLE":
                    raise
        return labels + [Column(n, n) for n in numbers]

    async def tag(self, image: bytes, column: Column) -> Answer:
        """Returns the answer of a version for one image.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        async with self._room:
            return await asyncio.to_thread(self._tag, image, column.version)

    def _tag(self, image: bytes, version: int | str) -> Answer:
        try:
            return self._client(version).tag([image])[0]
        except KeyError as error:
            raise ServerError(
                "UNKNOWN",
                f"the answer lacks {error}; was it exported by "
                "`tagforest export`?",
            ) from error

    def _client(self, version: int | str) -> TagClient:
        # Threads of several tabs may ask for the same.
        with self._lock:
            if version not in self._clients:
                self._clients[version] = TagClient(
                    self.server, options=self.options_of(version)
                )
            return self._clients[version]

    def options_of(self, version: int | str) -> ClientOptions:
        """Returns how a version, by number or label, is asked."""
        if isinstance(version, str):
            return replace(self.options, version_label=version)
        return replace(self.options, version=version)

    def close(self) -> None:
        """Ends the connections."""
        for client in (self._newest, *self._clients.values()):
            client.close()


def default_pair(columns: Sequence[Column]) -> list[Column]:
    """Returns the one or two columns to begin with.

    The first two labels; else the newest version beside the one before.
    """
    labels = [c for c in columns if isinstance(c.version, str)]
    if labels:
        return labels[:2]
    return list(reversed(columns[:2]))
