"""What the commands for TensorFlow Serving are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from serving.api import contract
from serving.api.client_tls import ClientTls
from serving.api.version_folders import require_versions
from serving.api.version_policy import VersionPolicy, parse_labels


@dataclass(frozen=True)
class TfServingSetup(Options):
    """How a model is to be served.

    Attributes:
        labels: label -> version.
        policy: which versions; None for those that have labels, or the
            highest.
        base_path: of the versions as the server sees it; None for the
            container's folder.

    Raises:
        InputError: a label of a version that is not there, or a bad number.
    """

    model_dir: Annotated[Path, Option("Base folder with numbered versions.")]
    name: Annotated[str, Option("Name of the model in requests.")] = (
        contract.MODEL_NAME
    )
    labels: Annotated[
        Mapping[str, int],
        Option(
            "LABEL=VERSION, as stable=1; repeatable.",
            flag="--label",
            typed=list[str],
            parse=parse_labels,
        ),
    ] = field(default_factory=dict)
    batch_timeout_us: Annotated[
        int, Option("How long a batch waits for company.", min=0)
    ] = 2000
    max_queued_batches: Annotated[
        int, Option("Beyond them requests are refused.", min=1)
    ] = 64
    policy: VersionPolicy | None = None
    base_path: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        versions = require_versions(self.model_dir)
        for label, version in self.labels.items():
            if version not in versions:
                raise InputError(
                    f"label {label}: version {version} is not in "
                    f"{self.model_dir}; there are {versions}"
                )


@dataclass(frozen=True)
class AdminOptions(Options):
    """Whose models are changed.

    Attributes:
        server: `host:port`, or a URL as the client takes it.
        timeout_s: for one reload, and for a version to become available.
        tls: whom to trust; None for a connection without TLS.
    """

    server: Annotated[str, Option("HOST:PORT of its gRPC.", argument=True)]
    timeout_s: Annotated[
        float, Option("Seconds that a version may take to load.")
    ] = 300
    tls: ClientTls | None = None


@dataclass(frozen=True)
class LabelTarget(Options):
    """A label of a model in a `models.config`."""

    config: Annotated[
        Path, Option("The server's models.config; it is rewritten.")
    ]
    label: Annotated[str, Option("Which to move.")] = "stable"
    model: Annotated[str, Option("Name of the model.", flag="--name")] = (
        contract.MODEL_NAME
    )
