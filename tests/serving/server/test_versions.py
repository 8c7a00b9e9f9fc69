from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.errors import RequestError
from serving.api.models_config import ModelConfig
from serving.api.server_options import RetryOptions, ServerOptions
from serving.api.version_folders import find_versions, version_paths
from serving.api.version_policy import VersionPolicy, parse_labels
from serving.server.versions import (
    AVAILABLE,
    END,
    LOADING,
    VersionManager,
    VersionState,
)
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until


@pytest.fixture
def base(versions_base, tmp_path):
    """A folder of its own with version 1, which loads fast."""
    shutil.copytree(versions_base / "1", tmp_path / "m" / "1")
    return tmp_path / "m"


@pytest.fixture
def manager(base):
    options = ServerOptions(poll_s=0.05, retries=RetryOptions(1, 0.1))
    manager = VersionManager(ModelConfig("tagforest", base), options)
    manager.start()
    yield manager
    manager.close()


def publish(base, version, source="1"):
    shutil.copytree(base / source, base / ".staging")
    os.rename(base / ".staging", base / str(version))


@contextmanager
def held(manager):
    loaded = manager.take()
    try:
        yield loaded
    finally:
        manager.release(loaded)


def current(manager):
    with held(manager) as loaded:
        return loaded.version


def state(manager, version):
    return next((s for s in manager.states() if s.version == version), None)


def test_a_running_request_finishes_on_the_old_version(base, manager):
    inputs = {contract.IMAGE_BYTES: np.array([noise_image(1)], object)}
    with held(manager) as old:
        publish(base, 2)
        wait_until(lambda: current(manager) == 2)
        assert state(manager, 1).state != END
        answer = old.run(contract.TAGS, inputs, float("inf"))
        assert old.version == 1 and answer["valid"].tolist() == [True]
    wait_until(lambda: state(manager, 1) == VersionState(1, END))
    with pytest.raises(RequestError) as caught:
        manager.take(1)
    assert caught.value.code is StatusCode.NOT_FOUND


def test_no_request_fails_during_a_swap(base, manager):
    inputs = {contract.IMAGE_BYTES: np.array([noise_image(1)], object)}
    seen, failed = set(), []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with held(manager) as loaded:
                    loaded.run(contract.TAGS, inputs, float("inf"))
                    seen.add(loaded.version)
            except Exception as error:
                failed.append(error)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    wait_until(lambda: seen == {1})
    publish(base, 2)
    wait_until(lambda: seen == {1, 2})
    stop.set()
    for asker in askers:
        asker.join()
    assert failed == []


def test_a_version_that_does_not_load_leaves_the_old_one(base, manager):
    (base / "3").mkdir()
    (base / "3" / "saved_model.pb").write_bytes(b"broken")
    wait_until(lambda: state(manager, 3) and state(manager, 3).state == END)
    assert "cannot be loaded" in state(manager, 3).error
    assert current(manager) == 1
    assert state(manager, 1).state == AVAILABLE
    # Once it is gone and there again, it is tried again.
    shutil.rmtree(base / "3")
    wait_until(lambda: not manager._failures)
    publish(base, 3)
    wait_until(lambda: current(manager) == 3)


def test_a_version_that_loads_late_is_served(base):
    retries = RetryOptions(count=1, interval_s=0.5)
    options = ServerOptions(poll_s=0.05, retries=retries)
    manager = VersionManager(ModelConfig("tagforest", base), options)
    manager.start()
    try:
        (base / "2").mkdir()
        wait_until(lambda: state(manager, 2) and 2 in manager._failures)
        assert state(manager, 2) == VersionState(2, LOADING)
        for path in (base / "1").iterdir():
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, base / "2" / path.name)
        wait_until(lambda: current(manager) == 2)
    finally:
        manager.close()


def test_going_back_by_removing_the_new_version(base, manager):
    publish(base, 2)
    wait_until(lambda: current(manager) == 2)
    shutil.rmtree(base / "2")
    wait_until(lambda: current(manager) == 1)


def test_an_empty_base_folder_unloads_a_missing_one_does_not(base, manager):
    os.rename(base, base.with_name("gone"))
    time.sleep(0.2)
    assert current(manager) == 1
    base.mkdir()
    wait_until(lambda: state(manager, 1).state == END)
    with pytest.raises(RequestError, match=r"Latest\(tagforest\)"):
        current(manager)


@pytest.mark.parametrize("missing", ["nothing", "empty"])
def test_no_version(tmp_path, missing):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="tagforest export"):
        VersionManager(ModelConfig("tagforest", tmp_path / missing)).start()


@pytest.mark.parametrize("content", [None, b"broken"])
def test_a_first_version_that_does_not_load(tmp_path, content, caplog):
    (tmp_path / "1").mkdir()
    if content:
        (tmp_path / "1" / "saved_model.pb").write_bytes(content)
    with pytest.raises(InputError) as caught:
        VersionManager(ModelConfig("tagforest", tmp_path)).start()
    message = str(caught.value)
    assert message.startswith("version 1 of tagforest does not load: ")
    assert message.endswith(f"`tagforest doctor {tmp_path}` finds the cause")
    assert "saved_model.pb" in message or "cannot be loaded" in message
    # One line, and no word of tries that are not made.
    assert "\n" not in message and caplog.text == ""


def test_only_numbers_are_versions(tmp_path):
    for name in ("2", "10", "007", "0002", "x", ".staging-1", str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "11").write_text("a file")
    assert find_versions(tmp_path) == [2, 7, 10]
    assert version_paths(tmp_path)[7].name == "007"
    assert version_paths(tmp_path)[2].name == "2"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest", [7]),
        ("latest:2", [5, 7]),
        ("latest:9", [1, 5, 7]),
        ("all", [1, 5, 7]),
        ("5,1,1", [1, 5]),
        ("4", []),
    ],
)
def test_policies(text, chosen):
    assert VersionPolicy.parse(text).choose([5, 1, 7]) == chosen


@pytest.mark.parametrize("text", ["", "newest", "latest:0", "1,", "-1", "1 2"])
def test_no_policies(text):
    with pytest.raises(InputError, match="received"):
        VersionPolicy.parse(text)


def test_the_newest_two(base):
    publish(base, 2)
    model = ModelConfig("tagforest", base, VersionPolicy(latest=2))
    manager = VersionManager(model, ServerOptions(poll_s=0.05))
    manager.start()
    try:
        states = [(s.version, s.state) for s in manager.states()]
        assert states == [(2, AVAILABLE), (1, AVAILABLE)]
        publish(base, 3)
        wait_until(lambda: state(manager, 1).state == END)
        assert current(manager) == 3
        assert state(manager, 2).state == AVAILABLE
    finally:
        manager.close()


def test_what_cannot_be_served_is_refused(base):
    model = ModelConfig("tagforest", base, VersionPolicy.parse("7"))
    with pytest.raises(InputError, match=r"none of the versions \[7\]"):
        VersionManager(model).start()


def test_label_texts():
    assert parse_labels(["stable=1"]) == {"stable": 1}
    for text in ("stable", "=1", "stable=", "stable=x"):
        with pytest.raises(InputError, match="stable=1"):
            parse_labels([text])
