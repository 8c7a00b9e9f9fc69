"""Files that run exported models under TensorFlow Serving.

    models.config       which versions, and their labels
    batching.config     how requests are put together
    monitoring.config   Prometheus metrics on the REST port
    session.config      no GPU memory taken beyond need
    compose.yaml        all of it in a container

The formats are TensorFlow Serving's text protos:
https://github.com/tensorflow/serving/tree/master/tensorflow_serving/config
and `servables/tensorflow/session_bundle_config.proto`.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from google.protobuf import text_format

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.version_policy import VersionPolicy
from serving.tfserving.check_setup import (
    BATCHING_CONFIG,
    MODELS_CONFIG,
    MONITORING_CONFIG,
    SESSION_CONFIG,
    check_setup,
)
from serving.tfserving.options import TfServingSetup

_SERVER_FILES = (BATCHING_CONFIG, MONITORING_CONFIG, SESSION_CONFIG)
_COMPOSE = "compose.yaml"
# Inside the container.
_MODEL_FOLDER = "/models"


def write_setup(out: Path, setup: TfServingSetup) -> list[Path]:
    """Writes all files and checks them; those of a former call are replaced.

    Returns:
        Their paths.

    Raises:
        InputError: TensorFlow Serving would not start with them, or serve
            what they say.
    """
    paths = _write(out, setup)
    problems = check_setup(out, setup.name, Path(setup.model_dir))
    if problems:
        raise InputError("; ".join(problems))
    return paths


def _write(out: Path, setup: TfServingSetup) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    models = out / MODELS_CONFIG
    models.write_text(models_config(setup), encoding="utf-8")
    served = write_server_files(
        out, setup.batch_timeout_us, setup.max_queued_batches
    )
    values = {
        "name": setup.name,
        # compose takes relative paths from its own file.
        "model_dir": Path(setup.model_dir).resolve().as_posix(),
        "grpc_port": contract.GRPC_PORT,
        "rest_port": contract.REST_PORT,
    }
    return [models, *served, _fill(out, _COMPOSE, values)]


def write_server_files(
    out: Path,
    batch_timeout_us: int = TfServingSetup.batch_timeout_us,
    max_queued_batches: int = TfServingSetup.max_queued_batches,
) -> list[Path]:
    """Writes what is the same for any model: batching, monitoring, session.

    Args:
        batch_timeout_us, max_queued_batches: see `TfServingSetup`.

    Returns:
        Their paths.
    """
    values = {
        "max_batch_size": max(contract.BATCH_SIZES),
        "allowed": "\n".join(
            f"allowed_batch_sizes: {size}" for size in contract.BATCH_SIZES
        ),
        "timeout": batch_timeout_us,
        "queued": max_queued_batches,
        "threads": os.cpu_count() or 1,
    }
    return [_fill(out, name, values) for name in _SERVER_FILES]


def _fill(out: Path, name: str, values: Mapping[str, object]) -> Path:
    folder = resources.files("serving.tfserving").joinpath("templates")
    template = string.Template(folder.joinpath(name).read_text("utf-8"))
    (out / name).write_text(template.substitute(values), encoding="utf-8")
    return out / name


def models_config(setup: TfServingSetup) -> str:
    """Returns `models.config`: a text proto of `ModelServerConfig`."""
    server = protos.model_server_config_pb2.ModelServerConfig()
    model = server.model_config_list.config.add()
    model.name = setup.name
    base = setup.base_path or f"{_MODEL_FOLDER}/{setup.name}"
    model.base_path = str(base)
    model.model_platform = "tensorflow"
    policy = setup.policy
    if policy is None and setup.labels:
        # The newest alone, the default, would unload what a label names.
        policy = VersionPolicy(specific=tuple(setup.labels.values()))
    if policy is not None:
        _fill_policy(model.model_version_policy, policy)
    for label, version in sorted(setup.labels.items()):
        model.version_labels[label] = version
    return text_format.MessageToString(server)


def _fill_policy(message, policy: VersionPolicy) -> None:
    if policy.specific:
        message.specific.versions.extend(sorted(set(policy.specific)))
    elif policy.latest is None:
        message.all.SetInParent()
    elif policy.latest != 1:  # else it is the default
        message.latest.num_versions = policy.latest
