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
from serving import contract, protos
from serving.version_folders import require_versions

STABLE = "stable"
CANARY = "canary"
MODELS_CONFIG = "models.config"
_TEMPLATES = (
    "batching.config",
    "monitoring.config",
    "session.config",
    "compose.yaml",
)
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

    Raises:
        InputError: a label of a version that is not there, or a bad number.
    """

    model_dir: Path
    name: str = contract.MODEL_NAME
    labels: Mapping[str, int] = field(default_factory=dict)
    batch_timeout_us: int = 2000
    max_queued_batches: int = 64

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
    """Writes all files; those of a former call are replaced.

    Args:
        out: folder, made if it is not there.

    Returns:
        Their paths.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = {MODELS_CONFIG: models_config(setup)}
    values = {
        "name": setup.name,
        # compose takes relative paths from its own file.
        "model_dir": Path(setup.model_dir).resolve().as_posix(),
        "max_batch_size": max(contract.BATCH_SIZES),
        "allowed": "\n".join(
            f"allowed_batch_sizes: {size}" for size in contract.BATCH_SIZES
        ),
        "timeout": setup.batch_timeout_us,
        "queued": setup.max_queued_batches,
        "threads": os.cpu_count() or 1,
        "grpc_port": contract.GRPC_PORT,
        "rest_port": contract.REST_PORT,
    }
    folder = resources.files("serving.tfserving").joinpath("templates")
    for name in _TEMPLATES:
        template = string.Template(folder.joinpath(name).read_text("utf-8"))
        texts[name] = template.substitute(values)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]


def models_config(setup: TfServingSetup) -> str:
    """Returns `models.config`: a text proto of `ModelServerConfig`."""
    server = protos.model_server_config_pb2.ModelServerConfig()
    model = server.model_config_list.config.add()
    model.name = setup.name
    model.base_path = f"{_MODEL_FOLDER}/{setup.name}"
    model.model_platform = "tensorflow"
    if setup.labels:
        # The newest alone, the default, would unload what a label names.
        versions = sorted(set(setup.labels.values()))
        model.model_version_policy.specific.versions.extend(versions)
    for label, version in sorted(setup.labels.items()):
        model.version_labels[label] = version
    return text_format.MessageToString(server)
