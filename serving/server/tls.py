"""TLS of the server, for gRPC and REST alike.

From PEM files, or from TensorFlow Serving's `--ssl_config_file`, a text proto
with the PEM texts inline
(https://github.com/tensorflow/serving, `config/ssl_config.proto`).
"""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from beam_jobs.errors import InputError
from serving.api.server_options import TlsOptions
from serving.tfserving import schemas
from serving.tfserving.check_setup import parse_text


@dataclass(frozen=True)
class ServerTls:
    """Who the server is, and which clients it lets in.

    Attributes:
        key: its private key, PEM.
        cert: its certificate, PEM, with those between it and the authority.
        client_ca: the authorities that may vouch for clients, PEM.
        verify_client: refuse clients without such a certificate.
        source: where it is from, for messages.

    Raises:
        InputError: no PEM, a key that does not belong to the certificate, or
            clients to verify and nobody to vouch for them.
    """

    key: bytes
    cert: bytes
    client_ca: bytes = b""
    verify_client: bool = False
    source: str = "TLS"

    def __post_init__(self):
        if self.verify_client and not self.client_ca:
            raise InputError(
                f"{self.source}: to verify clients, the certificate of the "
                "authority that vouches for them is needed (custom_ca, "
                "--tls-client-ca)"
            )
        # Made once to be checked now, not at the first connection.
        self.context()

    def context(self) -> ssl.SSLContext:
        """Returns what REST uses."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Has a context's further connections use these files.

        Raises:
            InputError: see the class.
        """
        try:
            # ssl reads a key from a file alone.
            with tempfile.TemporaryDirectory() as folder:  # for its owner only
                key, cert = Path(folder) / "key", Path(folder) / "cert"
                key.write_bytes(self.key)
                cert.write_bytes(self.cert)
                # Else a key with a password would be asked for on a terminal.
                context.load_cert_chain(cert, key, password=lambda: "")
            if self.verify_client:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=self.client_ca.decode())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.source}: cannot be used for TLS ({error}); a PEM "
                "certificate and its PEM key without password are needed"
            ) from error

    def configuration(self) -> Any:
        """Returns what gRPC uses."""
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.cert)], self.client_ca or None
        )


class LiveTls:
    """The TLS of a running server, whose files may be replaced.

    Raises:
        InputError: as `load_tls`.
    """

    def __init__(self, files: TlsOptions, tls: ServerTls):
        self._files = files
        self._tls = tls
        self._context = tls.context()

    def context(self) -> ssl.SSLContext:
        """Returns what REST uses."""
        return self._context

    def credentials(self) -> grpc.ServerCredentials:
        """Returns what gRPC uses."""
        known = self._tls

        def newer() -> Any:
            nonlocal known
            # gRPC asks at every handshake; None: as before.
            if self._tls is known:
                return None
            known = self._tls
            return known.configuration()

        return grpc.dynamic_ssl_server_credentials(
            known.configuration(), newer, known.verify_client
        )

    def reread(self) -> None:
        """Has further connections use what the files say now.

        Authorities that vouch for clients over REST are added to the old ones.

        Raises:
            InputError: the files are wrong, and nothing has changed.
        """
        tls = load_tls(self._files)
        if tls is not None:
            tls.load_into(self._context)
            self._tls = tls


def load_tls(files: TlsOptions) -> ServerTls | None:
    """Returns the TLS that options ask for; None for none.

    Raises:
        InputError: options that do not go together, or a bad file.
    """
    cert, key, client_ca = given = files.cert, files.key, files.client_ca
    if files.ssl_config_file is not None:
        if any(given):
            raise InputError(
                "--ssl-config-file holds key and certificates; leave out "
                "--tls-cert, --tls-key and --tls-client-ca"
            )
        return read_ssl_config(files.ssl_config_file)
    if not any(given):
        return None
    if cert is None or key is None:
        raise InputError(
            f"--tls-cert and --tls-key go together; received: {cert}, {key}"
        )
    return ServerTls(
        key=_read(key),
        cert=_read(cert),
        client_ca=_read(client_ca) if client_ca else b"",
        verify_client=client_ca is not None,
        source=", ".join(str(f) for f in given if f),
    )


def read_ssl_config(path: Path) -> ServerTls:
    """Reads an `SSLConfig` in text format.

    Raises:
        InputError: no such file, no such message, or bad PEM in it.
    """
    message = parse_text(path, schemas.SslConfig())
    return ServerTls(
        key=message.server_key.encode(),
        cert=message.server_cert.encode(),
        client_ca=message.custom_ca.encode(),
        verify_client=message.client_verify,
        source=str(path),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
