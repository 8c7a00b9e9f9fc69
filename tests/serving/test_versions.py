from __future__ import annotations

import os
import shutil
import threading
import time

import numpy as np
import pytest
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving import contract
from serving.errors import RequestError
from serving.server.versions import (
    AVAILABLE,
    END,
    VersionManager,
    VersionState,
)
from serving.version_folders import find_versions
from serving.version_policy import VersionPolicy, parse_labels


@pytest.fixture
def base(model_base, tmp_path):
    shutil.copytree(model_base / "1", tmp_path / "m" / "1")
    return tmp_path / "m"


@pytest.fixture
def manager(base):
    manager = VersionManager(base, "tagforest", poll_s=0.05)
    manager.start()
    yield manager
    manager.close()


def publish(base, version, source="1"):
    shutil.copytree(base / source, base / ".staging")
    os.rename(base / ".staging", base / str(version))


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def current(manager):
    with manager.acquire("tagforest") as loaded:
        return loaded.version


def state(manager, version):
    return next((s for s in manager.states() if s.version == version), None)


def test_a_running_request_finishes_on_the_old_version(base, manager, picture):
    inputs = {contract.IMAGE_BYTES: np.array([picture(1)], object)}
    with manager.acquire("tagforest") as old:
        publish(base, 2)
        wait_until(lambda: current(manager) == 2)
        assert state(manager, 1).state != END
        answer = old.run(contract.TAGS, inputs, float("inf"))
        assert old.version == 1 and answer["valid"].tolist() == [True]
    wait_until(lambda: state(manager, 1) == VersionState(1, END))
    with pytest.raises(RequestError) as caught:
        with manager.acquire("tagforest", 1):
            pass
    assert caught.value.code is StatusCode.NOT_FOUND


def test_no_request_fails_during_a_swap(base, manager, picture):
    inputs = {contract.IMAGE_BYTES: np.array([picture(1)], object)}
    seen, failed = set(), []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with manager.acquire("tagforest") as loaded:
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
        VersionManager(tmp_path / missing, "tagforest").start()


def test_a_first_version_that_does_not_load(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(InputError, match="saved_model.pb"):
        VersionManager(tmp_path, "tagforest").start()


def test_only_plain_numbers_are_versions(tmp_path):
    for name in ("2", "10", "007", "x", ".staging-1", "-3", str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "11").write_text("a file")
    assert find_versions(tmp_path) == [2, 10]


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


def test_labels_and_pinned_versions(base):
    publish(base, 2)
    publish(base, 3)
    policy, labels = VersionPolicy.parse("1,2"), {"stable": 1, "canary": 2}
    manager = VersionManager(
        base, "tagforest", poll_s=0.05, policy=policy, labels=labels
    )
    manager.start()
    try:
        found = []
        for wanted in ({}, {"version": 1}, *({"label": n} for n in labels)):
            with manager.acquire("tagforest", **wanted) as loaded:
                found.append(loaded.version)
        assert found == [2, 1, 1, 2]
        with pytest.raises(RequestError, match="version label: beta") as error:
            with manager.acquire("tagforest", label="beta"):
                pass
        assert error.value.code is StatusCode.INVALID_ARGUMENT
        with pytest.raises(RequestError, match=r"Specific\(tagforest, 3\)"):
            with manager.acquire("tagforest", 3):
                pass
        shutil.rmtree(base / "1")
        wait_until(lambda: state(manager, 1).state == END)
        assert current(manager) == 2
    finally:
        manager.close()


def test_the_newest_two(base):
    publish(base, 2)
    policy = VersionPolicy(latest=2)
    manager = VersionManager(base, "tagforest", poll_s=0.05, policy=policy)
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


@pytest.mark.parametrize(
    ("policy", "labels", "said"),
    [
        ("latest", {"stable": 1}, r"label stable: version 1 .* \[2\] are"),
        ("7", {}, r"none of the versions \[7\]"),
    ],
)
def test_what_cannot_be_served_is_refused(base, policy, labels, said):
    (base / "2").mkdir()
    with pytest.raises(InputError, match=said):
        VersionManager(
            base,
            "tagforest",
            policy=VersionPolicy.parse(policy),
            labels=labels,
        ).start()


def test_label_texts():
    assert parse_labels(["stable=1"]) == {"stable": 1}
    for text in ("stable", "=1", "stable=", "stable=x"):
        with pytest.raises(InputError, match="stable=1"):
            parse_labels([text])
