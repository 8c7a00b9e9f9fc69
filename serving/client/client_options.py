"""Which server to ask, which model, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, quote, urlsplit

from beam_jobs.errors import InputError
from beam_jobs.images.image_names import is_url
from beam_jobs.option_fields import Option, Options
from serving.api import contract
from serving.api.client_tls import ClientTls
from serving.api.tag_options import TAGS, TagOptions
from serving.sidecars.options import SidecarOptions

TRANSPORTS = ("grpc", "rest")
FORMS = ("table", "json", "csv")
STDIN = "-"
_TOP = 5
_server = partial(Option, panel="Server")
_output = partial(Option, panel="Output")
# Scheme -> transport, and whether it is TLS.
_SCHEMES = {
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("rest", False),
    "https": ("rest", True),
}
_DEFAULT_PORTS = {"grpc": contract.GRPC_PORT, "rest": contract.REST_PORT}


@dataclass(frozen=True)
class ClientOptions(Options):
    """What a client asks for, and how patiently.

    Attributes:
        timeout_s: for one batch, retries included (gRPC) or each (REST).
        allow_private: loopback addresses too.
        tls: whom to trust; None for a connection without TLS.

    Raises:
        InputError: a number out of range, or both a version and a label.
    """

    model: Annotated[
        str, _server("Name of the model on the server.", flag="--name")
    ] = contract.MODEL_NAME
    version: Annotated[
        int | None,
        _server(
            "Version of it; default: the newest.",
            min=0,
            under=2**63,
            metavar="<int>",
        ),
    ] = None
    version_label: Annotated[str, _server("As stable.")] = ""
    timeout_s: Annotated[
        float,
        _server(
            "Seconds a request.", over=0, flag="--timeout", metavar="<float>"
        ),
    ] = 60.0
    parallel: Annotated[int, _server("Requests at a time.", min=1)] = 4
    allow_private: Annotated[
        bool,
        Option("Fetch URLs of private addresses too.", flag="--allow-private"),
    ] = False
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version is not None and self.version_label:
            raise InputError(
                "ask for a version or for a label, not both; received: "
                f"{self.version}, {self.version_label!r}"
            )


@dataclass(frozen=True)
class TagRun(Options):
    """One run of `tagforest tag`.

    Attributes:
        options: which classes are tags; None for the best ones.
        progress: None for a bar where it does no harm.

    Raises:
        InputError: a value out of range, or options that exclude each other.
    """

    names: Annotated[
        tuple[str, ...],
        Option(
            "Files, folders, URLs; - for a list of them on stdin.",
            argument=True,
            flag="images",
        ),
    ] = ()
    stdin_image: Annotated[
        bool, Option("Tag one image from stdin.", flag="--stdin-image")
    ] = False
    server: Annotated[
        str | None,
        _server(
            "HOST:PORT, grpc://... or http://...; grpcs or https: TLS. "
            "Default: this machine."
        ),
    ] = None
    transport: Annotated[
        str | None,
        _server(
            "Default: as --server says, else grpc.",
            choices=TRANSPORTS,
            metavar="<grpc|rest>",
        ),
    ] = None
    client: ClientOptions = ClientOptions()
    options: TagOptions | None = None
    top: Annotated[
        int | None,
        Option(
            "Tags an image; default: 5, all with --xmp.",
            min=1,
            panel=TAGS,
            metavar="<int>",
        ),
    ] = None
    leaves: Annotated[
        bool,
        Option("Only classes without subclasses.", panel=TAGS, flag="--leaves"),
    ] = False
    form: Annotated[
        str,
        _output(
            "json: an object an image; csv: a line a tag.",
            choices=FORMS,
            flag="--format",
            metavar="<table|json|csv>",
        ),
    ] = "table"
    out: Annotated[
        Path | None,
        _output("File, whole or not there; FILE.part meanwhile."),
    ] = None
    masks: Annotated[
        Path | None,
        _output("Folder for the masks of a segmenter: a PNG an image."),
    ] = None
    resume: Annotated[
        bool,
        _output(
            "Leave out images that --out has tags of; json only.",
            flag="--resume",
        ),
    ] = False
    sidecars: SidecarOptions = SidecarOptions()
    progress: Annotated[
        bool | None,
        _output(
            "A bar; default: on a terminal without tags.",
            flag="--progress/--no-progress",
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stdin_image and self.names:
            raise InputError(
                "--stdin-image reads one image from standard input and takes "
                f"no names; received: {self.names[0]!r}"
            )
        if not (self.stdin_image or self.names):
            raise InputError(
                "name image files, folders or URLs; - reads a list of them "
                "from standard input, --stdin-image one image"
            )
        if self.names.count(STDIN) > 1:
            raise InputError("standard input can be read once: one - only")
        if self.resume and not (self.out and self.form == "json"):
            raise InputError("--resume needs --out FILE and --format json")
        if self.sidecars.xmp:
            self._check_sidecars()

    @property
    def most(self) -> int | None:
        """Tags an image, at most; None for all."""
        # The best are the broadest: a word for a whole library.
        return _TOP if self.top is None and not self.sidecars.xmp else self.top

    def _check_sidecars(self) -> None:
        urls = [name for name in self.names if is_url(name)]
        if urls or self.stdin_image:
            received = urls[0] if urls else "--stdin-image"
            raise InputError(
                f"--xmp writes beside image files; received: {received}"
            )


def rest_path(options: ClientOptions) -> str:
    """Returns where a server has the model and version over REST.

    Example:
        >>> rest_path(ClientOptions("tagforest", version=2))
        '/v1/models/tagforest/versions/2'
    """
    path = "/v1/models/" + quote(options.model, safe="")
    if options.version is not None:
        return f"{path}/versions/{options.version}"
    if options.version_label:
        return f"{path}/labels/{quote(options.version_label, safe='')}"
    return path


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
