"""A client for a served model, over gRPC or REST, without TensorFlow."""

from __future__ import annotations

import base64
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from beam_jobs.rejections import Reason
from serving.api import contract
from serving.api.light_client import check_extra
from serving.api.prediction import (
    Answer,
    Prediction,
    RequestTooLargeError,
    ServerError,
    Tag,
    TaggedImage,
    VersionStatus,
)
from serving.api.tag_options import TagOptions
from serving.client.batches import READERS, BatchLimits, cut, stream
from serving.client.client_options import (
    TRANSPORTS,
    ClientOptions,
    parse_server,
)
from serving.client.load_images import (
    ImageProblem,
    Item,
    LoadedImage,
    check_bytes,
    expand,
    load,
)

if TYPE_CHECKING:
    from serving.client.url_reader import UrlReader


__all__ = [
    "TRANSPORTS",
    "ClientOptions",
    "ServerError",
    "TagClient",
    "TagOptions",
    "TaggedImage",
]

# A white PNG of one pixel.
_PROBE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N"
    "70a4AAAAAElFTkSuQmCC"
)
_NOT_SENT = Prediction(False, ())
_NOT_DECODED = (
    f"{Reason.BROKEN_IMAGE.value}: the server cannot decode it, or it has "
    "too many pixels"
)


class _Transport(Protocol):
    def predict(
        self, images: Sequence[bytes], options: TagOptions | None
    ) -> list[Answer]: ...

    def signatures(self) -> set[str]: ...

    def status(self) -> list[VersionStatus]: ...

    def version(self) -> int: ...

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

    Attributes:
        kind: `grpc` or `rest`.
        address: `host:port`.
        options: as they were given.

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
        self.kind, self.address = parse_server(address, transport, secure)
        self._limits = BatchLimits()
        self._transport = _connect(self.address, self.kind, self.options)

    def tag(
        self, images: Sequence[bytes], options: TagOptions | None = None
    ) -> list[Answer]:
        """Returns an answer for every image file, in order.

        Of a tagger they are `Prediction`s, of a detector `Detection`s, of a
        segmenter `Segmentation`s.

        What is over the server's limit of bytes, or does not start as an
        image does, is not sent: it is not valid.

        Args:
            images: whole files.
            options: which classes are tags; None for the best ones, however
                little they score.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        # Nothing is answered as not valid, and keeps the order.
        sent = (i if _is_image(i) else b"" for i in images)
        batches = list(cut(sent, self._limits, len))
        # The usual call costs no threads.
        if len(batches) == 1:
            return _all_or_raise(self._ask(batches[0], options))
        with ThreadPoolExecutor(self.options.parallel) as pool:
            answers = pool.map(lambda b: self._ask(b, options), batches)
            return [p for found in answers for p in _all_or_raise(found)]

    def tag_files(
        self,
        names: Iterable[str | Path],
        options: TagOptions | None = None,
        *,
        skip: Container[str] = (),
    ) -> Iterator[TaggedImage]:
        """Yields files, folders' images and URLs with their tags, in order.

        Memory does not grow with their number. What cannot be read or tagged
        is yielded with an error. Closing the generator gives the rest up.

        Args:
            names: paths and URLs, taken as they are needed.
            skip: paths and URLs of images to leave out.

        Raises:
            ServerError: the server did not answer, or refused; all images
                before have been yielded.
        """
        items = (i for i in expand(map(str, names)) if _name(i) not in skip)
        yield from self.tag_items(items, options)

    def tag_items(
        self, items: Iterable[Item], options: TagOptions | None = None
    ) -> Iterator[TaggedImage]:
        """Does what `tag_files` does with names, or images, that are files."""
        urls = _LazyUrls(self.options.allow_private)
        with closing(urls):
            yield from stream(
                items,
                lambda item: load(item, urls.read),
                lambda batch: self._send(batch, options),
                self._limits,
                self.options.parallel,
            )

    def _send(
        self, batch: Sequence[LoadedImage], options: TagOptions | None
    ) -> list[TaggedImage]:
        good = [image.data for image in batch if not image.error]
        answers = iter(self._ask(good, options) if good else ())
        return [
            TaggedImage(image.name, _NOT_SENT, image.error)
            if image.error
            else _tagged(image.name, next(answers))
            for image in batch
        ]

    def _ask(
        self, images: list[bytes], options: TagOptions | None
    ) -> list[Answer | RequestTooLargeError]:
        """Asks for images; in parts if they are too much for the server."""
        try:
            found = self._transport.predict(images, options)
        except RequestTooLargeError as error:
            if len(images) == 1:
                return [error]
            # Other threads cut smaller batches, too, from now on.
            self._limits.halve(images)
            # Until they fit, or one alone is too large.
            fewer = cut(images, self._limits, len)
            return [a for batch in fewer for a in self._ask(batch, options)]
        if len(found) != len(images):
            raise ServerError(
                "UNKNOWN", f"{len(found)} answers for {len(images)} images"
            )
        return list(found)

    def unknown_classes(self, class_ids: Iterable[str]) -> list[str]:
        """Returns which ids are of no class of the model that answers.

        Each is asked for alone, of a tiny image: any class has a score.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return [
            class_id
            for class_id in dict.fromkeys(class_ids)
            if not self._tags_of_probe(class_id)
        ]

    def find_class(self, class_id: str) -> Tag | None:
        """Returns a class of the model that answers; its score says nothing.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        found = self._tags_of_probe(class_id)
        return next((tag for tag in found if tag.wnid == class_id), None)

    def _tags_of_probe(self, class_id: str) -> tuple[Tag, ...]:
        wanted = TagOptions(min_confidence=0.0, include=(class_id,))
        (found,) = _all_or_raise(self._ask([_PROBE], wanted))
        return found.tags if isinstance(found, Prediction) else ()

    def task(self) -> str:
        """Returns what the model does, as its signature is called.

        `contract.DETECT`, `contract.SEGMENT`, or `contract.TAGS` of all others.

        Raises:
            ServerError: the server did not answer, or has no such version.
        """
        there = self._transport.signatures()
        named = (contract.DETECT, contract.SEGMENT)
        return next((name for name in named if name in there), contract.TAGS)

    def status(self) -> list[VersionStatus]:
        """Returns the versions of the model on the server, newest first.

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        found = self._transport.status()
        return sorted(found, key=lambda s: s.version, reverse=True)

    def version(self) -> int:
        """Returns the version that answers: what a label stands for now.

        Raises:
            ServerError: the server did not answer, or has no such version.
        """
        return self._transport.version()

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


class _LazyUrls:
    """Opens the connections when the first URL comes: most often never."""

    def __init__(self, allow_private: bool):
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._reader: UrlReader | None = None

    def read(self, url: str) -> bytes:
        with self._lock:
            if self._reader is None:
                check_extra("urls", "an image of the web")
                from serving.client.url_reader import UrlReader

                self._reader = UrlReader(READERS, self._allow_private)
        return self._reader.read(url)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _is_image(data: bytes) -> bool:
    try:
        check_bytes(data)
    except ImageProblem:
        return False
    return True


def _name(item: Item) -> str:
    return item.name if isinstance(item, LoadedImage) else item


def _tagged(name: str, answer: Answer | RequestTooLargeError) -> TaggedImage:
    if isinstance(answer, RequestTooLargeError):
        error = f"{Reason.TOO_MANY_BYTES.value}: the server says {answer}"
        return TaggedImage(name, _NOT_SENT, error)
    return TaggedImage(name, answer, "" if answer.valid else _NOT_DECODED)


def _all_or_raise(
    answers: Iterable[Answer | RequestTooLargeError],
) -> list[Answer]:
    found = []
    for answer in answers:
        if isinstance(answer, RequestTooLargeError):
            raise answer
        found.append(answer)
    return found
