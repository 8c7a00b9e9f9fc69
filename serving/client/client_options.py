"""Which server to ask, which model, and how."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.client_tls import ClientTls

TRANSPORTS = ("grpc", "rest")
# Scheme -> transport, and whether it is TLS.
_SCHEMES = {
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("rest", False),
    "https": ("rest", True),
}
_DEFAULT_PORTS = {"grpc": contract.GRPC_PORT, "rest": contract.REST_PORT}


@dataclass(frozen=True)
class ClientOptions:
    """What a client asks for, and how patiently.

    Attributes:
        model: its name on the server.
        version: only this one; None for what the server has newest.
        version_label: only what has this label, as `stable`.
        timeout_s: for one batch, retries included (gRPC) or each (REST).
        parallel: batches that are under way at a time.
        allow_private: fetch URLs of private and loopback addresses too.
        tls: whom to trust; None for a connection without TLS.

    Raises:
        InputError: a number out of range, or both a version and a label.
    """

    model: str = contract.MODEL_NAME
    version: int | None = None
    version_label: str = ""
    timeout_s: float = 60.0
    parallel: int = 4
    allow_private: bool = False
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise InputError(
                f"the timeout must be over 0 s; received: {self.timeout_s}"
            )
        if self.parallel < 1:
            raise InputError(
                f"parallel must be 1 or more; received: {self.parallel}"
            )
        if self.version is not None and self.version_label:
            raise InputError(
                "ask for a version or for a label, not both; received: "
                f"{self.version}, {self.version_label!r}"
            )
        if self.version is not None and not 0 <= self.version < 2**63:
            raise InputError(
                "a version is a number from 0 to 2^63 - 1; received: "
                f"{self.version}"
            )


def parse_server(
    text: str | None, transport: str | None = None, secure: bool = False
) -> tuple[str, str]:
    """Returns transport and `host:port` of a server.

    Args:
        text: `host:port`, or that after `grpc://`, `http://` or, for TLS,
            `grpcs://`, `https://`; None for this machine and the usual port.
        transport: `grpc` or `rest`; None for what the text says, else gRPC.
        secure: TLS is set up.

    Raises:
        InputError: no address with a port, another scheme or transport, or
            one that contradicts the others.

    Example:
        >>> parse_server("http://127.0.0.1:8501")
        ('rest', '127.0.0.1:8501')
    """
    if transport not in (None, *TRANSPORTS):
        raise InputError(
            f"transport must be one of {TRANSPORTS}; received: {transport!r}"
        )
    if text is None:
        chosen = transport or "grpc"
        return chosen, f"127.0.0.1:{_DEFAULT_PORTS[chosen]}"
    if "://" not in text:
        return transport or "grpc", _address(text, text)
    url = _split(text)
    said = _of_scheme(url.scheme, text, transport, secure)
    if url.path.strip("/") or url.query or url.fragment:
        raise _no_address(text)
    return said, _address(url.netloc, text)


def _of_scheme(
    scheme: str, text: str, transport: str | None, secure: bool
) -> str:
    if scheme not in _SCHEMES:
        raise InputError(
            f"a server's address starts with one of {sorted(_SCHEMES)} and "
            f"://, or is HOST:PORT alone; received: {text!r}"
        )
    said, is_tls = _SCHEMES[scheme]
    if transport not in (None, said):
        raise InputError(
            f"{text} is asked over {said}, not {transport}; leave one of "
            "the two out"
        )
    if is_tls and not secure:
        raise InputError(
            f"{text} needs the certificates of an authority to trust: --tls-ca"
        )
    if secure and not is_tls:
        raise InputError(
            f"{text} is a connection without TLS; with an authority to trust, "
            f"its address starts with {scheme}s://"
        )
    return said


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:  # a bracket that is not closed
        raise _no_address(text) from error


def _address(address: str, text: str) -> str:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit() and "@" not in host):
        raise _no_address(text)
    return address


def _no_address(text: str) -> InputError:
    return InputError(
        "a server's address is HOST:PORT, as "
        f"127.0.0.1:{contract.GRPC_PORT}; received: {text!r}"
    )
