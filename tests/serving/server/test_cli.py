"""`tagforest serve` refuses before it loads anything."""

from __future__ import annotations

import socket

from beam_jobs.errors import InputError
from serving.server import local_server
from tests.helpers.commands import loaded_by, run

ANY_PORTS = ("--grpc-port", 0, "--rest-port", 0)


def test_serve_wants_a_folder(tmp_path):
    done = run("serve", tmp_path / "none", *ANY_PORTS)
    assert "tagforest export" in str(done.exception)


def test_a_taken_port_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        done = run("serve", tmp_path, "--grpc-port", port, "--rest-port", 0)
    assert isinstance(done.exception, InputError)
    assert f"port {port}" in str(done.exception)


def test_draining_is_said(tmp_path, monkeypatch):
    (tmp_path / "1").mkdir()

    def serve(*_, on_drain, **__):
        on_drain(2.5)

    monkeypatch.setattr(local_server, "serve", serve)
    done = run("serve", tmp_path, *ANY_PORTS)
    assert done.exit_code == 0, done.exception
    assert done.stdout == (
        "draining: 2.5 s of answers more, then the server ends; another "
        "signal ends it now\n"
    )


def test_the_command_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "grpc", "numpy")
    assert loaded_by("import serving.server.cli", *heavy) == []
