"""What all workers of a training must have alike (no TensorFlow here)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from beam_jobs.dataset import dataset_folder
from beam_jobs.files import storage
from model.config import Config
from model.inputs import train_counts


def plan_of(config: Config, dataset: str) -> dict[str, str]:
    """Returns what is trained, on what and with what, by name."""
    shards = dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    # Sizes besides, for data sets without a fingerprint.
    sizes = [(os.path.basename(s), storage.size(s)) for s in shards]
    data = f"{train_counts.fingerprint(dataset)}{sizes}"
    return {
        "data set": hashlib.sha256(data.encode()).hexdigest()[:16],
        **{f"config, {name}": repr(value) for name, value in _fields(config)},
        **{name: version(name) for name in ("tagforest", "tensorflow")},
    }


def _fields(config: Config) -> Iterator[tuple[str, Any]]:
    for name, value in json.loads(config.to_result_json()).items():
        if isinstance(value, dict):
            yield from (
                (f"{name}.{key}", field) for key, field in value.items()
            )
        else:
            yield name, value
