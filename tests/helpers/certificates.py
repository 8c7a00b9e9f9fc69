"""Certificates for tests: an authority, a server on loopback, a client."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def write_certificates(folder: Path) -> Path:
    """Writes NAME.pem and NAME.key for ca, server, client and stranger."""
    ca_key, ca = _make("ca", None, None)
    _write(folder, "ca", ca_key, ca)
    for name in ("server", "client"):
        _write(folder, name, *_make(name, ca_key, ca))
    _write(folder, "stranger", *_make("stranger", None, None))
    return folder


def _make(name, issuer_key, issuer):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    loopback = ipaddress.ip_address("127.0.0.1")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=None), True
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(loopback)]), False
        )
        # Python 3.13 asks for these.
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                (issuer_key or key).public_key()
            ),
            False,
        )
    )
    if issuer is None:
        usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True}
        builder = builder.add_extension(x509.KeyUsage(**usage), True)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def _write(folder, name, key, certificate):
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
