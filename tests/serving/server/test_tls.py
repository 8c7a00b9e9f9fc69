"""TLS of server and client, over both transports."""

from __future__ import annotations

import json
import shutil

import grpc
import pytest

from beam_jobs.errors import InputError
from serving.api.client_tls import ClientTls
from serving.api.server_options import ServerOptions, TlsOptions
from serving.client.client_options import ClientOptions
from serving.client.tag_client import ServerError, TagClient
from serving.server.local_server import running_server
from serving.server.tls import (
    LiveTls,
    ServerTls,
    load_tls,
    read_ssl_config,
)
from tests.helpers.certificates import write_certificates
from tests.helpers.images import noise_image


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return write_certificates(tmp_path_factory.mktemp("pem"))


def ssl_config(pem, **fields):
    names = {
        "server_key": "server.key",
        "server_cert": "server.pem",
        "custom_ca": "ca.pem",
    }
    texts = {k: (pem / v).read_text() for k, v in names.items()} | fields
    return "".join(f"{k}: {json.dumps(v)}\n" for k, v in texts.items())


@pytest.fixture(scope="module")
def secure(model_base, pem):
    path = pem / "ssl_config.txt"
    path.write_text(ssl_config(pem, client_verify=True))
    tls = TlsOptions(ssl_config_file=path)
    options = ServerOptions(grpc_port=0, rest_port=0, tls=tls)
    with running_server(model_base, options) as server:
        yield {"grpc": server.grpc_address, "rest": server.rest_address}


def tag(secure, kind, images, tls, timeout_s=20.0):
    options = ClientOptions(timeout_s=timeout_s, tls=tls)
    with TagClient(secure[kind], kind, options=options) as client:
        return list(client.tag(images))


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_client_with_a_certificate_is_answered(secure, pem, kind):
    mutual = ClientTls(pem / "ca.pem", pem / "client.pem", pem / "client.key")
    (found,) = tag(secure, kind, [noise_image(1)], mutual)
    assert found.valid


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_others_are_not(secure, pem, kind):
    strangers = [
        None,
        ClientTls(pem / "ca.pem"),
        ClientTls(pem / "ca.pem", pem / "stranger.pem", pem / "stranger.key"),
        # The server is none that this client trusts.
        ClientTls(pem / "stranger.pem", pem / "client.pem", pem / "client.key"),
    ]
    for tls in strangers:
        with pytest.raises(ServerError):
            tag(secure, kind, [noise_image(1)], tls, timeout_s=1.0)


def test_files(pem):
    files = (pem / "server.pem", pem / "server.key")
    assert load_tls(TlsOptions()) is None
    open_to_all = load_tls(TlsOptions(*files))
    assert not open_to_all.verify_client
    live = LiveTls(TlsOptions(*files), open_to_all)
    assert isinstance(live.credentials(), grpc.ServerCredentials)
    mutual = load_tls(TlsOptions(*files, pem / "ca.pem"))
    assert mutual.verify_client
    assert mutual.client_ca == (pem / "ca.pem").read_bytes()


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_files_are_read_again(model_base, tmp_path, kind):
    """As when a certificate is renewed: clients trust the new one alone."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        write_certificates(folder)
    cert, key = old / "server.pem", old / "server.key"
    options = ServerOptions(grpc_port=0, rest_port=0, tls=TlsOptions(cert, key))
    trusts_new = ClientTls(new / "ca.pem")
    with running_server(model_base, options) as server:
        secure = {"grpc": server.grpc_address, "rest": server.rest_address}
        assert tag(secure, kind, [noise_image(1)], ClientTls(old / "ca.pem"))
        with pytest.raises(ServerError):
            tag(secure, kind, [noise_image(1)], trusts_new, timeout_s=1.0)
        shutil.copy(new / "server.key", key)
        with pytest.raises(InputError, match="cannot be used for TLS"):
            server.reread()
        assert tag(secure, kind, [noise_image(1)], ClientTls(old / "ca.pem"))
        shutil.copy(new / "server.pem", cert)
        server.reread()
        assert tag(secure, kind, [noise_image(1)], trusts_new)


def test_bad_files(pem, tmp_path):
    text = tmp_path / "text"
    text.write_text("no PEM")
    server, key = pem / "server.pem", pem / "server.key"
    cases = [
        ((server, None), "go together"),
        ((server, tmp_path / "none"), "cannot read"),
        ((text, key), "cannot be used for TLS"),
        ((server, text), "cannot be used for TLS"),
        ((server, pem / "client.key"), "cannot be used for TLS"),
        ((server, key, text), "cannot be used for TLS"),
        ((None, None, pem / "ca.pem"), "go together"),
        ((server, key, None, text), "leave out"),
        ((None, None, None, text), "cannot be read.*custom_ca"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            load_tls(TlsOptions(*arguments))
    text.write_text(ssl_config(pem, custom_ca="", client_verify=True))
    with pytest.raises(InputError, match="custom_ca"):
        read_ssl_config(text)
    with pytest.raises(InputError, match="custom_ca"):
        ServerTls(b"", b"", verify_client=True)


def test_bad_files_of_a_client(pem, tmp_path):
    for files in (
        (tmp_path / "none",),
        (pem / "server.key",),
        (pem / "ca.pem", pem / "client.pem"),
        (pem / "ca.pem", pem / "client.pem", pem / "server.key"),
    ):
        with pytest.raises(InputError):
            ClientTls(*files)
