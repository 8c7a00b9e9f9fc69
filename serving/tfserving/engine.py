"""Runs TensorFlow Serving itself, with the options of `tagforest serve`."""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.stop_signals import STOP_SIGNALS, stop_signals_to
from serving.api.request_log_options import RequestLogOptions
from serving.api.server_options import (
    BatchingOptions,
    ServerOptions,
    TlsOptions,
)
from serving.api.trace_options import TraceOptions
from serving.tfserving.options import TfServingSetup
from serving.tfserving.setup import write_server_files, write_setup

BINARY = "tensorflow_model_server"
PYTHON, TFSERVING, AUTO = ENGINES = ("python", "tfserving", "auto")
_EVERYWHERE = ("0.0.0.0", "::")


def find_binary(engine: str, host: str) -> str | None:
    """Returns the path of TensorFlow Serving; None for the local server.

    Args:
        engine: `python`, `tfserving`, or `auto`: TensorFlow Serving if it is
            there and can listen as wanted.

    Raises:
        InputError: another engine, or TensorFlow Serving is wanted and not
            there or cannot listen as wanted.
    """
    if engine not in ENGINES:
        raise InputError(
            f"--engine is one of {', '.join(ENGINES)}; received: {engine!r}"
        )
    if engine == PYTHON:
        return None
    binary = shutil.which(BINARY)
    problem = _problem(binary, host)
    if problem and engine == TFSERVING:
        raise InputError(problem)
    return None if problem else binary


def _problem(binary: str | None, host: str) -> str:
    if binary is None:
        return (
            f"{BINARY} is not on PATH; "
            "https://www.tensorflow.org/tfx/serving/setup says how to install "
            "it, `tagforest tfserving` prepares its container, and --engine "
            "python needs neither"
        )
    if host not in _EVERYWHERE:
        return (
            f"{BINARY} listens on every address of the machine and cannot "
            f"listen on {host} alone; say --host 0.0.0.0 if that is meant, or "
            "--engine python"
        )
    return ""


def arguments(
    options: ServerOptions, models_config: Path, configs: Path
) -> list[str]:
    """Returns the flags of `tensorflow_model_server`.

    Args:
        options: its ports are 1 or more.
        models_config: a file with base paths of this machine.
        configs: folder of batching, monitoring and session config.
    """
    batching = options.batching_file or configs / "batching.config"
    micros = round(1e6 * options.retries.interval_s)
    poll_s = math.ceil(options.models_config_poll_s)
    flags = {
        "port": options.grpc_port,
        "rest_api_port": options.rest_port,
        "model_config_file": models_config,
        "model_config_file_poll_wait_seconds": poll_s,
        # Else it does not start with labels.
        "allow_version_labels_for_unavailable_models": "true",
        "max_num_load_retries": options.retries.count,
        "load_retry_interval_micros": micros,
        "enable_batching": "true",
        "batching_parameters_file": batching,
        "monitoring_config_file": configs / "monitoring.config",
        "tensorflow_session_config_file": configs / "session.config",
        "enable_grpc_healthcheck_service": "true",
        # A new version loads on one thread: the others go on answering.
        "num_load_threads": 1,
        "rest_api_timeout_in_ms": round(1000 * options.rest.timeout_s),
        "rest_api_enable_cors_support": str(options.rest.cors).lower(),
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def serve_model_server(
    binary: str, model_dir: Path | None, options: ServerOptions
) -> int:
    """Runs TensorFlow Serving until it ends or is told to.

    Args:
        model_dir: base folder of the model; None where a `models.config`
            lists several.
        options: its ports are 1 or more.

    Returns:
        Its exit status; 128 and the signal's number where one ended it.

    Raises:
        InputError: it would not start with that, or cannot do it.
    """
    _check_options(options)
    with tempfile.TemporaryDirectory(prefix="tagforest-") as name:
        folder = Path(name)
        if model_dir is None:
            models_config = Path(options.models_config or "").resolve()
            write_server_files(folder)
        else:
            base = model_dir.resolve()
            setup = TfServingSetup(
                base,
                options.name,
                options.labels,
                policy=options.policy,
                base_path=base,
            )
            models_config = write_setup(folder, setup)[0]
        return run([binary, *arguments(options, models_config, folder)])


def _check_options(options: ServerOptions) -> None:
    if options.tls != TlsOptions():
        raise InputError(
            "TensorFlow Serving has TLS for gRPC alone; use --engine python, "
            "or a proxy with TLS in front of it"
        )
    if options.request_log != RequestLogOptions():
        raise InputError(
            "TensorFlow Serving logs requests as its models.config says; use "
            "--engine python for --request-log"
        )
    if options.traces != TraceOptions():
        raise InputError(
            "TensorFlow Serving makes no traces; use --engine python for "
            "--traces"
        )
    if options.batching != BatchingOptions():
        raise InputError(
            "with --engine tfserving --batching-parameters-file says how to "
            "batch"
        )


def run(command: Sequence[str]) -> int:
    """Runs a command until it ends; SIGTERM and SIGINT go on to it.

    Returns:
        Its exit status; 128 and the signal's number where one ended it.
    """
    held: list[int] = []
    # Also of signals that come before the process is there.
    with (
        stop_signals_to(lambda number, _: held.append(number)),
        subprocess.Popen(list(command)) as process,
    ):
        _pass_on(process, held)
        status = process.wait()
    return status if status >= 0 else 128 - status


def _pass_on(process: subprocess.Popen, held: Sequence[int]) -> None:
    def send(number: int, _: object = None) -> None:
        process.send_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, send)
    for early in held:
        send(early)
