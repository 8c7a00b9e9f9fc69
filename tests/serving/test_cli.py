from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from beam_jobs.errors import InputError
from serving import cli_export, cli_serve, cli_tag


@pytest.fixture(scope="module")
def app():
    app = typer.Typer()
    for commands in (cli_export, cli_serve, cli_tag):
        commands.register(app)
    return app


@pytest.fixture
def run(app):
    def run(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return run


@pytest.fixture
def images(tmp_path, picture):
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(picture(1))
    bad.write_bytes(b"broken")
    return good, bad


def test_tag_json(run, server, images):
    arguments = ["--server", server.grpc_address, "--format", "json"]
    done = run("tag", *images, *arguments, "--top", 2)
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good["image"] == str(images[0])
    assert good["valid"] and len(good["tags"]) == 2
    assert good["error"] is None
    assert (bad["valid"], bad["tags"]) == (False, [])
    assert bad["error"] == "not_an_image: it starts with b'broken'"
    assert done.exit_code == 0
    assert done.stderr.startswith(
        "2 images = 1 tagged + 1 not (1 not_an_image); "
    )


def test_tag_table_over_rest(run, server, images):
    arguments = ["--server", server.rest_address, "--transport", "rest"]
    done = run("tag", *images, *arguments)
    assert "n02084071" in done.stdout
    assert "not_an_image" in done.stdout


def test_tag_errors(run, tmp_path, images):
    missing = run("tag", tmp_path / "none.jpg")
    assert isinstance(missing.exception, InputError)
    assert "cannot read" in str(missing.exception)
    malformed = run("tag", images[0], "--server", "nowhere")
    assert "HOST:PORT" in str(malformed.exception)


def test_export_and_serve_want_folders(run, tmp_path):
    done = run("export", tmp_path / "none", "--out", tmp_path)
    assert "no such folder" in str(done.exception)
    ports = ["--grpc-port", 0, "--rest-port", 0]
    done = run("serve", tmp_path / "none", *ports)
    assert "tagforest export" in str(done.exception)


def test_a_taken_port_is_told(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        done = run("serve", tmp_path, "--grpc-port", port, "--rest-port", 0)
    assert isinstance(done.exception, InputError)
    assert f"port {port}" in str(done.exception)


def test_the_commands_load_nothing_heavy():
    code = (
        "import sys, typer; "
        "from serving import cli_export, cli_serve, cli_tag; "
        "[c.register(typer.Typer()) for c in (cli_export, cli_serve, cli_tag)];"
        "print({'tensorflow', 'keras', 'grpc', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr
