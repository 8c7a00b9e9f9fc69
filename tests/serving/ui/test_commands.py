"""The commands that the page gives are run as they are pasted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.client.client_options import ClientOptions
from serving.ui.commands import command_for, name_of_command
from serving.ui.compared_versions import Column, Tagger
from tests.helpers.images import noise_image

# Each is a trap for a shell, or for a command that takes it for an option.
NAMES = ("plain.jpg", "-n", 'it\'s $(touch hit) `touch hit` "!x" ;\n*.jpg')


def run(command: str, folder: Path) -> str:
    """Returns what a shell prints, which finds `tagforest` as users do."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", [1, "stable"])
def test_curl_gives_the_answer(two_versions, tmp_path, name, version):
    (tmp_path / name).write_bytes(noise_image(0))
    tagger = Tagger(
        two_versions.grpc_address,
        ClientOptions(),
        rest=two_versions.rest_address,
    )
    asked = Column(version, 1)
    answer = asyncio.run(tagger.tag(noise_image(0), asked))
    tagger.close()
    command = command_for(tagger, [asked], name)
    assert name_of_command(tagger) == "curl" and command.count("curl") == 1
    (row,) = json.loads(run(command, tmp_path))["predictions"]
    assert row["names"] == [tag.name for tag in answer.tags]
    assert row["scores"] == pytest.approx([t.score for t in answer.tags])
    assert not (tmp_path / "hit").exists()


def test_without_rest_it_is_tagforest(two_versions, tmp_path):
    (name,) = NAMES[2:]
    (tmp_path / name).write_bytes(noise_image(0))
    tagger = Tagger(two_versions.grpc_address, ClientOptions())
    tagger.close()
    command = command_for(tagger, [Column("canary", 2), Column(1, 1)], name)
    assert name_of_command(tagger) == "command"
    assert command.count("tagforest tag") == 2
    lines = run(command, tmp_path).splitlines()
    half = len(lines) // 2
    assert lines[:half] == lines[half:] and "entity" in "".join(lines)
    assert not (tmp_path / "hit").exists()


def test_a_server_asked_over_rest_is_the_one_of_curl():
    tagger = Tagger("http://127.0.0.1:9", ClientOptions("my model"))
    tagger.close()
    command = command_for(tagger, [Column(1, 1)], "a.jpg")
    url = "http://127.0.0.1:9/v1/models/my%20model/versions/1:predict"
    assert command.endswith(f"-d @- {url}")
