"""Checks the text files with which TensorFlow Serving is started.

It says little of what is wrong in them, and some of it only when a version is
to be loaded. No TensorFlow here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.models_config import ModelConfig, models_of, read_config
from serving.api.version_folders import find_versions, version_paths
from serving.tfserving import schemas

MODELS_CONFIG = "models.config"
BATCHING_CONFIG = "batching.config"
MONITORING_CONFIG = "monitoring.config"
SESSION_CONFIG = "session.config"
# In a version's folder, with --enable_per_model_batching_parameters.
OWN_BATCHING = "batching_params.pbtxt"


def check_setup(
    folder: Path, name: str, model_dir: Path | None = None
) -> list[str]:
    """Returns what is wrong in the files of a folder; nothing if all is well.

    Args:
        folder: where `tagforest tfserving` wrote; files that are not there
            are not checked.
        model_dir: where its versions are on this machine.
    """
    checks: dict[str, Callable[[Path], Iterator[str]]] = {
        MODELS_CONFIG: lambda path: _models(path, name, model_dir),
        BATCHING_CONFIG: batching_problems,
        MONITORING_CONFIG: _monitoring,
        SESSION_CONFIG: _session,
    }
    found = []
    for file, check in checks.items():
        if (folder / file).is_file():
            found += _run(check, folder / file)
    return found


def check_own_batching(model_dir: Path) -> list[str]:
    """Returns what is wrong in the batching configs inside versions.

    They count with `--enable_per_model_batching_parameters` alone.
    """
    return [
        problem
        for _, folder in sorted(version_paths(model_dir).items())
        if (folder / OWN_BATCHING).is_file()
        for problem in _run(batching_problems, folder / OWN_BATCHING)
    ]


def _run(check: Callable[[Path], Iterator[str]], path: Path) -> list[str]:
    try:
        return [f"{path}: {what}" for what in check(path)]
    except InputError as error:
        return [str(error)]


def read_batch_sizes(path: Path) -> tuple[int, ...]:
    """Returns the `allowed_batch_sizes` of a batching config.

    Raises:
        InputError: it is none.
    """
    return tuple(
        parse_text(path, schemas.BatchingParameters()).allowed_batch_sizes
    )


def batching_problems(path: Path) -> Iterator[str]:
    """Yields what keeps versions from loading with a batching config.

    Raises:
        InputError: it is none.
    """
    config = parse_text(path, schemas.BatchingParameters())
    for key, least in (
        ("max_batch_size", 1),
        ("batch_timeout_micros", 0),
        ("max_enqueued_batches", 1),
        ("num_batch_threads", 1),
    ):
        value = getattr(config, key).value
        if config.HasField(key) and value < least:
            yield f"{key} must be {least} or more; received: {value}"
    sizes = list(config.allowed_batch_sizes)
    if sizes != sorted(set(sizes)):
        yield f"allowed_batch_sizes must ascend; received: {sizes}"
    largest, where = _largest_batch(config)
    if sizes and sizes[-1] != largest:
        yield (
            f"the last of allowed_batch_sizes must be {where}, {largest}; "
            f"received: {sizes}"
        )


def _largest_batch(config: Any) -> tuple[int, str]:
    # Split requests are run in parts, and these are what is bounded.
    if config.enable_large_batch_splitting.value:
        if config.HasField("max_execution_batch_size"):
            key = "max_execution_batch_size"
            return config.max_execution_batch_size.value, key
    if config.HasField("max_batch_size"):
        return config.max_batch_size.value, "max_batch_size"
    return 1000, "max_batch_size"  # TensorFlow Serving's default


def _monitoring(path: Path) -> Iterator[str]:
    config = parse_text(path, schemas.MonitoringConfig()).prometheus_config
    if not config.enable:
        yield "prometheus_config does not say enable: true: no metrics"
    if config.path and not config.path.startswith("/"):
        yield f"the path must start with /; received: {config.path}"


def _session(path: Path) -> Iterator[str]:
    parse_text(path, protos.config_pb2.ConfigProto())
    yield from ()


def _models(path: Path, name: str, model_dir: Path | None) -> Iterator[str]:
    listed = {model.name: model for model in models_of(read_config(path))}
    if name not in listed:
        yield f"no model {name!r}; there are {sorted(listed)}"
        return
    if model_dir is not None:
        yield from label_problems(listed[name], model_dir)


def named_versions(folder: Path, name: str, model_dir: Path) -> list[int]:
    """Returns the versions that a setup serves of a model, ascending.

    Raises:
        InputError: it has no such model.
    """
    listed = models_of(read_config(folder / MODELS_CONFIG))
    model = next((m for m in listed if m.name == name), None)
    if model is None:
        raise InputError(f"no model {name!r} in {folder / MODELS_CONFIG}")
    return model.policy.choose(find_versions(model_dir))


def label_problems(model: ModelConfig, model_dir: Path) -> Iterator[str]:
    """Yields why labels of a model would not be served."""
    there = find_versions(model_dir)
    missing = sorted(set(model.policy.specific) - set(there))
    if missing:
        yield f"versions {missing} are not in {model_dir}; there are {there}"
    served = model.policy.choose(there)
    for label, version in sorted(model.labels.items()):
        if version not in served:
            yield (
                f"label {label}: version {version} is not served; of {there}, "
                f"the model_version_policy chooses {served}"
            )


def parse_text(path: Path, message: Any) -> Any:
    """Returns the message, filled from a text proto.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        fields = ", ".join(message.DESCRIPTOR.fields_by_name)
        raise InputError(
            f"{path} cannot be read: {error}; its fields may be {fields}"
        ) from error
