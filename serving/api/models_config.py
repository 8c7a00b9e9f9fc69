"""Which models a server has: TensorFlow Serving's `models.config`.

A text proto of `ModelServerConfig`
(https://github.com/tensorflow/serving/blob/master/tensorflow_serving/config/model_server_config.proto).
The rules and the wording of errors are those of `ValidateModelConfigList` in
its `model_servers/server_core.cc`. No TensorFlow here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from google.protobuf import text_format

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from serving.api import protos
from serving.api.request_log_options import (
    JSONL,
    TFRECORD,
    RequestLogOptions,
)
from serving.api.server_options import ServerOptions
from serving.api.version_policy import VersionPolicy

PLATFORM = "tensorflow"
# Of a log collector; TensorFlow Serving itself comes without any.
_LOG_TYPES = {"": TFRECORD, TFRECORD: TFRECORD, JSONL: JSONL}


@dataclass(frozen=True)
class ModelLog:
    """Where requests of one model are noted: its `logging_config`.

    Attributes:
        file: `filename_prefix` and the format's name.
        format: see `RequestLogOptions`.
        sample: the share of its requests.
    """

    file: Path
    format: str
    sample: float


@dataclass(frozen=True)
class ModelConfig:
    """One model of a server.

    Attributes:
        name: in requests.
        base: `<base>/<version>/saved_model.pb`; a text such as `gs://...`
            where it is no folder of this machine.
        policy: which versions are served.
        labels: names for some of them, such as `stable`.
        log: None for no log of its own.
    """

    name: str
    base: Path | str
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    log: ModelLog | None = None


def read_config(path: Path):
    """Reads a file as a `ModelServerConfig`.

    Raises:
        InputError: no such file, or it is no text proto of that kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot read {path}: {reason}; `tagforest tfserving` writes such "
            "a file"
        ) from error
    message = protos.model_server_config_pb2.ModelServerConfig()
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise InputError(f"{path} is no models.config: {error}") from error


def served_models(
    model_dir: Path | str | None, options: ServerOptions
) -> tuple[ModelConfig, ...]:
    """Returns what a server has: one folder, or what `models.config` lists.

    Raises:
        InputError: neither of them, or both, no such file, or an object store
            whose library is not installed.
    """
    if (model_dir is None) == (options.models_config is None):
        raise InputError(
            "give either the base folder of a model or --model-config-file"
        )
    if options.models_config:
        return models_of(read_config(options.models_config))
    base = _local_or_remote(str(model_dir))
    labelled = tuple(sorted({*options.labels.values()}))
    policy = options.policy or VersionPolicy(specific=labelled)
    return (ModelConfig(options.name, base, policy, options.labels),)


def write_config(path: Path, config) -> None:
    """Writes a `ModelServerConfig`; a reader sees the old file or the new."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    with staging.open("w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(config))
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)


def models_of(config) -> tuple[ModelConfig, ...]:
    """Returns the models of a `ModelServerConfig`.

    Raises:
        InputError: where TensorFlow Serving says INVALID_ARGUMENT.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise InputError("a models.config needs a model_config_list")
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise InputError(
                f"Illegal to list model {model.name} multiple times in config "
                "list"
            )
        names.add(model.name)
    return tuple(_model_of(m) for m in config.model_config_list.config)


def _model_of(model) -> ModelConfig:
    if not model.name:
        raise InputError("a model in the config list has no name")
    base = _base_of(model)
    _check_platform(model)
    labels = dict(model.version_labels)
    return ModelConfig(
        model.name, base, _policy_of(model), labels, _log_of(model)
    )


def _log_of(model) -> ModelLog | None:
    if not model.HasField("logging_config"):
        return None
    collector = model.logging_config.log_collector_config
    kind, prefix = collector.type, collector.filename_prefix
    if kind not in _LOG_TYPES:
        raise InputError(
            f"model {model.name}: log_collector_config.type is tfrecord (or "
            f"empty) or jsonl; received: {kind!r}"
        )
    rate = model.logging_config.sampling_config.sampling_rate
    if not 0 <= rate <= 1:
        raise InputError(
            f"model {model.name}: sampling_rate must be from 0 to 1; "
            f"received: {rate}"
        )
    if not rate:
        return None
    if not prefix.startswith("/"):
        raise InputError(
            f"model {model.name}: filename_prefix must be an absolute path; "
            f"received: {prefix!r}"
        )
    form = _LOG_TYPES[kind]
    return ModelLog(Path(f"{prefix}.{form}"), form, rate)


def logs_of(
    models: Sequence[ModelConfig], common: RequestLogOptions
) -> dict[str, tuple[Path, RequestLogOptions]]:
    """Returns file and options of the log of each model that has one.

    Args:
        common: of the log of all models; tells sizes, files and images.

    Raises:
        InputError: two would write one file, or its folder is not there.
    """
    found = {}
    owners = {common.file: "--request-log"}
    for model in models:
        if (log := model.log) is None:
            continue
        if log.file in owners:
            raise InputError(
                f"model {model.name} would write the request log of "
                f"{owners[log.file]}, {log.file}; give each its own"
            )
        owners[log.file] = f"model {model.name}"
        found[model.name] = (
            log.file,
            replace(
                common, file=log.file, format=log.format, sample=log.sample
            ),
        )
    return found


def _local_or_remote(base: str) -> Path | str:
    storage.check(base)
    return base if storage.is_remote(base) else Path(base)


def _base_of(model) -> Path | str:
    url = urlsplit(model.base_path)
    if not url.scheme and not url.path.startswith("/"):
        raise InputError(
            f"Expected model {model.name} to have an absolute path or URI; got "
            f"base_path()={model.base_path}"
        )
    if url.scheme == "file":
        return Path(url.path)
    return _local_or_remote(model.base_path)


def _check_platform(model) -> None:
    is_tensorflow = model.model_type == 1  # deprecated, still read
    if model.model_type and model.model_platform:
        raise InputError(
            "Illegal setting both ModelServerConfig::model_type (deprecated) "
            "and ModelServerConfig::model_platform."
        )
    if not model.model_type and not model.model_platform:
        raise InputError(
            "Illegal setting neither ModelServerConfig::model_type "
            "(deprecated) nor ModelServerConfig::model_platform. "
            f'Model {model.name} needs model_platform: "{PLATFORM}"'
        )
    if model.model_platform != PLATFORM and not is_tensorflow:
        raise InputError(
            f"Model {model.name} requests unsupported platform "
            f'{model.model_platform}; allowed: "{PLATFORM}"'
        )


def _policy_of(model) -> VersionPolicy:
    policy = model.model_version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "all":
        return VersionPolicy(latest=None)
    if chosen == "specific":
        if not policy.specific.versions:
            raise InputError(
                f"model {model.name}: model_version_policy.specific names no "
                "version"
            )
        return VersionPolicy(
            specific=tuple(sorted({*policy.specific.versions}))
        )
    return VersionPolicy(latest=policy.latest.num_versions or 1)
