from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from serving.api import contract
from serving.api.models_config import ModelConfig
from serving.api.server_options import ServerOptions
from serving.api.version_policy import VersionPolicy
from serving.server import model_source
from serving.server.model_registry import ModelRegistry
from tests.helpers.waiting import wait_until

# Each look asks the store.
OPTIONS = ServerOptions(poll_s=0.5)


def upload(folder: Path, target: str) -> None:
    # What makes it a version comes last: half of one would be tried again after
    # a minute.
    def is_last(path: Path) -> bool:
        return path.name == "saved_model.pb"

    for path in sorted(folder.rglob("*"), key=is_last):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            storage.write_bytes(storage.join(target, name), path.read_bytes())


def test_folders_of_this_machine(versions_base):
    found = model_source.find(versions_base)
    assert sorted(found) == [1, 2, 3, 9]
    with model_source.here(found[3]) as folder:
        assert folder == versions_base / "003"
    with pytest.raises(OSError, match="no such folder"):
        model_source.find(versions_base / "none")


def test_versions_of_an_object_store_are_served(s3, versions_base):
    base = f"{s3}/models/dogs"
    for name in ("2", "notes"):
        upload(versions_base / "2", f"{base}/{name}")
    assert model_source.find(base) == {2: f"{base}/2"}
    registry = ModelRegistry([ModelConfig("dogs", base)], OPTIONS)
    registry.start()
    inputs = {contract.IMAGE_BYTES: np.array([b"x"], object)}
    try:
        with registry.acquire("dogs") as loaded:
            assert loaded.version == 2
            assert loaded.run(contract.TAGS, inputs)[contract.VALID].all()
            # Nothing is left of the copy.
            assert not loaded.servable.path.exists()
        upload(versions_base / "003", f"{base}/003")
        wait_until(lambda: registry.loaded("dogs") == [3])
    finally:
        registry.close()


def test_an_object_store_without_a_version(s3):
    registry = ModelRegistry([ModelConfig("dogs", f"{s3}/none")], OPTIONS)
    with pytest.raises(InputError, match="s3://bucket/none holds no version"):
        registry.start()
    registry.close()


def test_a_first_version_is_waited_for(tmp_path, versions_base):
    options = ServerOptions(poll_s=0.05, wait_for_versions=True)
    base = tmp_path / "not yet"
    policy = VersionPolicy(specific=(2,))
    model = ModelConfig("dogs", base, policy, {"stable": 2})
    registry = ModelRegistry([model], options)
    registry.start()
    try:
        assert not registry.is_ready and registry.loaded("dogs") == []
        base.mkdir()
        (base / "2").symlink_to(versions_base / "2")
        wait_until(lambda: registry.is_ready)
        with registry.acquire("dogs", label="stable") as loaded:
            assert loaded.version == 2
    finally:
        registry.close()
