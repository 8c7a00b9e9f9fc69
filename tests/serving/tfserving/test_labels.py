from __future__ import annotations

import json

import pytest
from google.protobuf import text_format

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.models_config import read_config
from serving.api.server_options import RetryOptions, ServerOptions
from serving.server.local_server import running_server
from serving.tfserving.label_history import (
    LabelChange,
    append_change,
    history_path,
    last_promotion,
    read_history,
)
from serving.tfserving.labels import promote, rollback
from serving.tfserving.model_admin import ModelAdmin
from serving.tfserving.options import LabelTarget
from tests.helpers.commands import run
from tests.helpers.waiting import wait_until

NAME = "tagforest"


def models_config(base, policy, labels):
    message = protos.model_server_config_pb2.ModelServerConfig()
    model = message.model_config_list.config.add()
    model.name, model.base_path = NAME, str(base)
    model.model_platform = "tensorflow"
    text_format.Parse(policy, model.model_version_policy)
    model.version_labels.update(labels)
    return text_format.MessageToString(message)


@pytest.fixture(name="config")
def fixture_config(versions_base, tmp_path):
    path = tmp_path / "models.config"
    text = models_config(versions_base, "specific { versions: 1 }", {})
    path.write_text(text)
    return path


@pytest.fixture(name="running")
def fixture_running(config):
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        poll_s=0.05,
        models_config=config,
        retries=RetryOptions(0),
    )
    with running_server(None, options) as server:
        yield server


def stable(running):
    """The version that answers to the label."""
    with running.versions.acquire(NAME, label="stable") as loaded:
        return loaded.version


def served(running):
    """Loaded versions, and the one that is stable."""
    states = running.versions.states_of(NAME)
    loaded = sorted(s.version for s in states if s.state == 30)
    return loaded, stable(running)


def written(config):
    model = read_config(config).model_config_list.config[0]
    versions = list(model.model_version_policy.specific.versions)
    return versions, dict(model.version_labels)


def test_there_and_back(config, running):
    target = LabelTarget(config, "stable")
    said = []
    with ModelAdmin(running.grpc_address) as admin:
        promote(admin, target, 1, said.append)
        promote(admin, target, 2, said.append)
        assert served(running) == ([1, 2], 2)
        assert said[-2:] == [
            "version 2 of tagforest is available",
            "label stable: 1 -> 2",
        ]
        promote(admin, target, 3)
        assert written(config) == ([2, 3], {"stable": 3})
        # A broken version, one that is not there: all is as before.
        for version, why in ((9, "does not load"), (7, "not in .*1, 2, 3, 9")):
            with pytest.raises(InputError, match=why):
                promote(admin, target, version)
            assert written(config) == ([2, 3], {"stable": 3})
            assert stable(running) == 3
        rollback(admin, target)
        assert written(config) == ([2], {"stable": 2})
        wait_until(lambda: served(running) == ([2], 2))
        rollback(admin, target, said.append)
        assert said[-1] == "label stable: 2 -> 1"
        wait_until(lambda: served(running) == ([1], 1))
        with pytest.raises(InputError, match="it was new"):
            rollback(admin, target)
    changes = [(c.action, c.before, c.after) for c in read_history(config)]
    assert changes == [
        ("promote", None, 1),
        ("promote", 1, 2),
        ("promote", 2, 3),
        ("rollback", 3, 2),
        ("rollback", 2, 1),
    ]


def test_commands(config, running):
    address = running.grpc_address
    options = ("--config", config)
    done = run(
        "promote", address, "--version", "1", "--label", "canary", *options
    )
    assert "label canary: new -> 1" in done.output
    assert f"tagforest rollback {address} --label canary" in done.output
    done = run("rollback", address, *options)
    assert "stable of tagforest is at version None" in str(done.exception)
    done = run("promote", address, "--version", "1", "--name", "cats", *options)
    assert "no model 'cats' in the list; there are" in str(done.exception)
    done = run("promote", "127.0.0.1:1", "--version", "1", *options)
    assert "127.0.0.1:1 says UNAVAILABLE" in str(done.exception)


def test_history(tmp_path):
    config = tmp_path / "models.config"
    assert read_history(config) == []
    steps = [("promote", 1, 2), ("promote", 2, 3), ("rollback", 3, 2)]
    for action, before, after in steps:
        change = LabelChange("t", action, NAME, "stable", before, after)
        append_change(config, change)
    changes = read_history(config)
    assert last_promotion(changes, NAME, "stable", 2) == changes[0]
    # Somebody changed the file by hand; another label; another model.
    assert last_promotion(changes, NAME, "stable", 5) is None
    assert last_promotion(changes, NAME, "canary", 2) is None
    assert last_promotion(changes, "cats", "stable", 2) is None
    lines = history_path(config).read_text().splitlines()
    assert json.loads(lines[0])["before"] == 1
    history_path(config).write_text("{}\n")
    with pytest.raises(InputError, match="models.config.history:1: no change"):
        read_history(config)
