"""TLS of a client: whom it trusts and who it is. Needs no TensorFlow."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option

TLS = "TLS"
_tls = partial(Option, panel=TLS)


@dataclass(frozen=True)
class ClientTls:
    """PEM files of a client.

    Attributes:
        ca: certificates of the authorities that may vouch for the server.
        cert: the client's own certificate, for servers that ask for one.
        key: its private key.

    Raises:
        InputError: a file that cannot be read or is no PEM, or a key that
            does not belong to the certificate.
    """

    ca: Annotated[
        Path,
        _tls(
            "PEM file: authorities to trust; connects by TLS.", flag="--tls-ca"
        ),
    ]
    cert: Annotated[
        Path | None,
        _tls("PEM file: the client's own certificate.", flag="--tls-cert"),
    ] = None
    key: Annotated[
        Path | None, _tls("PEM file: its key.", flag="--tls-key")
    ] = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise InputError(
                "a client certificate and its key go together; received: "
                f"{self.cert}, {self.key}"
            )
        self.context()

    def context(self) -> ssl.SSLContext:
        """Returns what the standard library's clients use."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                # Else a key with a password is asked for on a terminal.
                context.load_cert_chain(
                    self.cert, self.key, password=lambda: ""
                )
        except (OSError, ValueError) as error:
            files = [str(f) for f in (self.ca, self.cert, self.key) if f]
            raise InputError(
                f"cannot use {', '.join(files)} for TLS ({error}); "
                "PEM files are needed"
            ) from error
        return context

    def contents(self) -> tuple[bytes, bytes | None, bytes | None]:
        """Returns the bytes of the files: authorities, key, certificate."""
        key = self.key.read_bytes() if self.key else None
        cert = self.cert.read_bytes() if self.cert else None
        return self.ca.read_bytes(), key, cert
