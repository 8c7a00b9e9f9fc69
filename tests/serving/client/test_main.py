"""The client alone, installed as its users do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers.commands import loaded_by
from tests.helpers.guides import ROOT
from tests.helpers.images import noise_image

MOST_MB = 150
_IMPORTED = """
import importlib.util
from serving.client.tag_client import TagClient
from serving.sidecars import write
names = ("tensorflow", "keras", "apache_beam", "tfx", "tensorflow_serving")
print([n for n in names if importlib.util.find_spec(n)])
"""


def test_one_command_and_no_framework():
    heavy = ("tensorflow", "keras", "apache_beam", "grpc", "lxml", "numpy")
    assert loaded_by("import serving.client.main", *heavy) == []
    done = subprocess.run(
        [sys.executable, "-m", "serving.client.main", "tag", "/none"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("tagforest: cannot read /none: ")
    assert done.stderr.count("\n") == 1


def size_mb(folder) -> float:
    files = (p for p in folder.rglob("*") if not p.is_symlink())
    return sum(512 * p.stat().st_blocks for p in files) / 1024**2


@pytest.fixture(name="installed", scope="module")
def fixture_installed(tmp_path_factory):
    """Returns a function that runs a program of a new environment."""
    # Beside what is built setuptools leaves files of its own.
    source = tmp_path_factory.mktemp("source")
    for name in ("beam_jobs", "serving"):
        shutil.copytree(ROOT / name, source / name)
    venv = tmp_path_factory.mktemp("client") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(program, *arguments, **changes):
        return subprocess.run(
            [venv / "bin" / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            # Not beside the sources, which Python would take.
            **{"cwd": venv, "env": clean, "check": True, **changes},
        )

    run("pip", "install", "-q", source / "serving/client")
    assert size_mb(venv) < MOST_MB
    return run


@pytest.mark.large
@pytest.mark.ci
def test_the_client_alone(server, installed, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(noise_image(1))
    for address in (server.grpc_address, f"http://{server.rest_address}"):
        asked = ["tag", photo, "--server", address, "--format", "json"]
        (row,) = installed("tagforest", *asked).stdout.splitlines()
        assert json.loads(row)["valid"], row
        sure = [*asked, "--min-confidence", "0", "--include", "n02084071"]
        (row,) = installed("tagforest", *sure).stdout.splitlines()
        (tag,) = json.loads(row)["tags"]
        assert tag["name"] == "dog"
    # The metadata and the status, whose messages are made from the file too.
    code = (
        "from serving.client.tag_client import TagClient\n"
        f"client = TagClient({server.grpc_address!r})\n"
        "print(client.task(), client.version(), client.status()[0].state)"
    )
    assert installed("python", "-c", code).stdout == (
        "serving_default 1 AVAILABLE\n"
    )
    for arguments, extra in (
        ((photo, "--xmp"), "xmp"),
        (("http://127.0.0.1/a.jpg",), "urls"),
    ):
        asked = ["tag", *arguments, "--server", server.grpc_address]
        done = installed("tagforest", *asked, check=False)
        assert done.returncode == 2
        assert f"`pip install 'tagforest-client[{extra}]'`" in done.stderr


@pytest.mark.large
@pytest.mark.ci
def test_its_extras(server, installed, tmp_path):
    installed("pip", "install", "-q", "aiohttp", "lxml")
    assert installed("python", "-c", _IMPORTED).stdout == "[]\n"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(noise_image(1))
    # Looked up as the web's are.
    url = "http://127.0.0.1:1/a.jpg"
    asked = ["--server", server.grpc_address, "--format", "json"]
    done = installed("tagforest", "tag", photo, url, *asked)
    assert (
        "no public address" in json.loads(done.stdout.splitlines()[1])["error"]
    )
    asked += ["--xmp", "--min-confidence", "0"]
    installed("tagforest", "tag", photo, *asked)
    assert b"entity|dog" in (tmp_path / "photo.xmp").read_bytes()
