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
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from google.protobuf import text_format

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.version_folders import require_versions
from serving.api.version_policy import VersionPolicy
from serving.tfserving.check_setup import (
    BATCHING_CONFIG,
    MODELS_CONFIG,
    MONITORING_CONFIG,
    SESSION_CONFIG,
    check_setup,
)

_SERVER_FILES = (BATCHING_CONFIG, MONITORING_CONFIG, SESSION_CONFIG)
_COMPOSE = "compose.yaml"
# Inside the container.
_MODEL_FOLDER = "/models"


@dataclass(frozen=True)
class TfServingSetup:
    """How a model is to be served.

    Attributes:
        model_dir: base folder of its versions.
        name: of the model in requests.
        labels: label -> version; empty for the highest version alone.
        batch_timeout_us: how long a batch waits for company.
        max_queued_batches: beyond them requests get UNAVAILABLE.
        policy: which versions are served; None for those that have labels,
            or the highest.
        base_path: of the versions as the server sees it; None for the
            container's folder.

    Raises:
        InputError: a label of a version that is not there, or a bad number.
    """

    model_dir: Path
    name: str = contract.MODEL_NAME
    labels: Mapping[str, int] = field(default_factory=dict)
    batch_timeout_us: int = 2000
    max_queued_batches: int = 64
    policy: VersionPolicy | None = None
    base_path: Path | None = None

    def __post_init__(self) -> None:
        versions = require_versions(Path(self.model_dir))
        for label, version in self.labels.items():
            if version not in versions:
                raise InputError(
                    f"label {label}: version {version} is not in "
                    f"{self.model_dir}; there are {versions}"
                )
        if self.batch_timeout_us < 0 or self.max_queued_batches < 1:
            raise InputError(
                "batch_timeout_us must be 0 or more and max_queued_batches 1 "
                f"or more; received: {self.batch_timeout_us}, "
                f"{self.max_queued_batches}"
            )


def write_setup(out: Path, setup: TfServingSetup) -> list[Path]:
    """Writes all files and checks them; those of a former call are replaced.

    Args:
        out: folder, made if it is not there.

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
        out: folder that is there.
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
