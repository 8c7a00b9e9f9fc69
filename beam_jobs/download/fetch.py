"""One request for an image: its bytes, or the class of its failure."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp
from yarl import URL

from beam_jobs.download.addresses import (
    CheckedResolver,
    PrivateAddressError,
    UnknownHostError,
    check_address,
)
from beam_jobs.download.consent import find_opt_out
from beam_jobs.download.options import FetchOptions
from beam_jobs.rejections import Reason

MAX_REDIRECTS = 5
MAX_URL = 8192
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 1 << 16
# What Flickr sends its visitors to for a photo that is gone; also with a
# suffix for the size.
_PLACEHOLDER = re.compile(r"/photo_unavailable(_\w+)?\.(png|gif|jpe?g)$")
# Worth another attempt; the others would fail in the same way.
TRANSIENT = frozenset(
    {
        Reason.CONNECTION_FAILED,
        Reason.CUT_OFF,
        Reason.RATE_LIMITED,
        Reason.SERVER_ERROR,
        Reason.TIMEOUT,
    }
)

# How a connection ends that was closed before the request came.
_CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)

Gate = Callable[[str], Awaitable[None]]


class FetchError(Exception):
    """A request that gave no image.

    Attributes:
        reason: the class of the dead letter.
        again: another attempt may succeed.
        retry_after: seconds the server asks to wait, if it does.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        again: bool | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(detail)
        self.reason = reason
        self.again = reason in TRANSIENT if again is None else again
        self.retry_after = retry_after


class Response(NamedTuple):
    """A complete answer with status 200."""

    data: bytes
    content_type: str


def open_session(options: FetchOptions) -> aiohttp.ClientSession:
    """Returns a session that keeps no cookies and uses no proxy."""
    connector = aiohttp.TCPConnector(
        limit=options.concurrency,
        resolver=CheckedResolver(options.allow_private),
        # The resolver keeps the answers itself, failures too.
        use_dns_cache=False,
        happy_eyeballs_delay=None,
    )
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    session = aiohttp.ClientSession(
        connector=connector,
        trace_configs=[tracing],
        cookie_jar=aiohttp.DummyCookieJar(),
        # A small body may unpack to a huge one: see `_unpack`.
        auto_decompress=False,
        headers={
            "User-Agent": options.user_agent,
            "Accept": "image/*,*/*;q=0.1",
            "Accept-Encoding": "identity",
        },
        timeout=aiohttp.ClientTimeout(
            total=options.timeout,
            sock_connect=options.connect_timeout,
            sock_read=options.read_timeout,
        ),
    )
    # It would ask again on new connections too; see `_Used`.
    session._retry_connection = False
    return session


class _Used:
    """Whether a request went over a connection that was used before.

    A server may close such a one just when it is used again, which says
    nothing about the URL.
    """

    reused = False


async def _note_reuse(session, context, parameters) -> None:
    context.trace_request_ctx.reused = True


def parse_url(text: str) -> URL:
    """Returns a URL that may be asked for.

    Raises:
        FetchError: none of http or https with a host.
    """
    if len(text) > MAX_URL:
        raise FetchError(Reason.BAD_URL, f"{len(text)} characters")
    try:
        url = URL(text)
        sound = url.scheme in ("http", "https") and url.host and url.port
    except ValueError as error:
        raise FetchError(Reason.BAD_URL, str(error)) from error
    if not sound:
        raise FetchError(Reason.BAD_URL, "no http:// or https:// address")
    if url.user is not None or url.password is not None:
        raise FetchError(Reason.BAD_URL, "a user name or password in it")
    return url


async def fetch(
    session: aiohttp.ClientSession,
    text: str,
    options: FetchOptions,
    gate: Gate,
) -> Response:
    """Asks for a URL and follows its redirects.

    Args:
        session: of `open_session`.
        text: the URL.
        options: as the session's.
        gate: awaited with the host before each redirect is followed.

    Raises:
        FetchError: why there is no image.
    """
    url = parse_url(text)
    for hop in range(MAX_REDIRECTS + 1):
        _check(url, options)
        if hop:
            await gate(str(url.host))
        answer = await _ask(session, url, options)
        if isinstance(answer, Response):
            return answer
        url = answer
    detail = f"more than {MAX_REDIRECTS} redirects"
    raise FetchError(Reason.TOO_MANY_REDIRECTS, detail)


def _check(url: URL, options: FetchOptions) -> None:
    if _PLACEHOLDER.search(url.path):
        raise FetchError(Reason.PLACEHOLDER, str(url))
    try:
        if not options.allow_private:
            check_address(str(url.host))
    except PrivateAddressError as error:
        raise FetchError(Reason.BAD_URL, str(error)) from error


async def _ask(
    session: aiohttp.ClientSession, url: URL, options: FetchOptions
) -> Response | URL:
    """Returns the answer, or where it redirects to."""
    used = _Used()
    try:
        return await _ask_once(session, url, options, used)
    except FetchError as error:
        failed = error.reason is Reason.CONNECTION_FAILED
        closed = failed and isinstance(error.__cause__, _CLOSED)
        if not closed or not used.reused:
            raise
    return await _ask_once(session, url, options, _Used())


async def _ask_once(
    session: aiohttp.ClientSession,
    url: URL,
    options: FetchOptions,
    used: _Used,
) -> Response | URL:
    answered = False
    try:
        async with session.get(
            url, allow_redirects=False, trace_request_ctx=used
        ) as response:
            if response.status in _REDIRECTS:
                return _target(response)
            _check_status(response)
            _check_consent(response, options)
            answered = True
            data = await _read(response, options.limits.max_bytes)
            return Response(data, response.headers.get("Content-Type", ""))
    except FetchError:
        raise
    except Exception as error:  # hostile servers find every way to fail
        raise _classified(error, answered) from error


def _target(response: aiohttp.ClientResponse) -> URL:
    location = response.headers.get("Location")
    if not location:
        raise FetchError(Reason.REFUSED, "a redirect to nowhere")
    try:
        return parse_url(str(response.url.join(URL(location))))
    except ValueError as error:
        detail = f"redirects to {location[:200]!r}"
        raise FetchError(Reason.BAD_URL, detail) from error


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    wait = _retry_after(response.headers.get("Retry-After"))
    detail = f"status {status}"
    if status in (404, 410):
        raise FetchError(Reason.NOT_FOUND, detail)
    if status == 429:
        raise FetchError(Reason.RATE_LIMITED, detail, retry_after=wait)
    if status == 408:
        raise FetchError(Reason.TIMEOUT, detail, retry_after=wait)
    if status >= 500:
        raise FetchError(Reason.SERVER_ERROR, detail, retry_after=wait)
    raise FetchError(Reason.REFUSED, detail)


def _check_consent(
    response: aiohttp.ClientResponse, options: FetchOptions
) -> None:
    headers = response.headers.getall("X-Robots-Tag", [])
    if (
        said := None
        if options.ignore_opt_out
        else find_opt_out(headers, options.user_agent)
    ):
        raise FetchError(Reason.OPTED_OUT, f"X-Robots-Tag: {said}")


def _retry_after(value: str | None) -> float | None:
    """Reads seconds or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        now = datetime.datetime.now(datetime.timezone.utc)
        return max(0.0, (when - now).total_seconds())
    except (TypeError, ValueError):
        return None


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    announced = response.content_length
    if announced is not None and announced > max_bytes:
        raise _too_large(max_bytes)
    chunks, received = [], 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    if announced is not None and received < announced:
        raise FetchError(Reason.CUT_OFF, f"of {announced} bytes")
    data = b"".join(chunks)
    coding = response.headers.get("Content-Encoding", "identity").lower()
    # Servers also say utf-8 there, of plain bytes; what these are, the check
    # of the image tells.
    return _unpack(data, coding, max_bytes) if coding in _PACKED else data


_PACKED = ("gzip", "x-gzip", "deflate")


def _unpack(data: bytes, coding: str, max_bytes: int) -> bytes:
    """Unpacks what a server packed although it was asked not to."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        unpacked = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise FetchError(Reason.BROKEN_IMAGE, f"{coding}: {error}") from error
    if len(unpacked) > max_bytes:
        raise _too_large(max_bytes)
    return unpacked


def _too_large(max_bytes: int) -> FetchError:
    return FetchError(Reason.TOO_MANY_BYTES, f"allowed: {max_bytes} bytes")


def _classified(error: Exception, answered: bool) -> FetchError:
    """Returns the class of what the HTTP client raised.

    Args:
        error: by aiohttp, or the operating system.
        answered: the headers had come, with status 200.
    """
    cause = error.__cause__
    if isinstance(cause, UnknownHostError):
        detail = f"no address of {_host(error)}: {cause}"
        return FetchError(Reason.UNKNOWN_HOST, detail, again=cause.transient)
    if isinstance(cause, PrivateAddressError):
        return FetchError(Reason.BAD_URL, str(cause))
    if isinstance(error, asyncio.TimeoutError):
        detail = "while the image came" if answered else "no answer"
        return FetchError(Reason.TIMEOUT, detail)
    if isinstance(error, aiohttp.InvalidURL):
        return FetchError(Reason.BAD_URL, "no host can be asked for it")
    if answered:
        return FetchError(Reason.CUT_OFF, "the answer ended too early")
    return FetchError(Reason.CONNECTION_FAILED, _connection_detail(error))


def _host(error: Exception) -> str:
    return str(getattr(error, "host", "the host"))


def _connection_detail(error: Exception) -> str:
    os_error = getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"certificate: {error.certificate_error}"
    # Its text may name local ports, which change from run to run.
    return type(os_error).__name__
