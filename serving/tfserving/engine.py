"""Runs TensorFlow Serving itself, with the options of `tagforest serve`."""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from serving.tfserving.setup import TfServingSetup


BINARY = "tensorflow_model_server"
PYTHON, TFSERVING, AUTO = ENGINES = ("python", "tfserving", "auto")
_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class EngineOptions:
    """What `tagforest serve` and TensorFlow Serving both have.

    Attributes:
        grpc_port, rest_port: 1 or more.
        models_config_poll_s: seconds between two looks at the file; 0: one.
        max_load_retries, load_retry_s: of versions that do not load.
        rest_timeout_ms: of a REST request.
        cors: other sites' pages may use REST.
        batching_file: how to batch; None for what `tagforest tfserving`
            writes.
    """

    grpc_port: int
    rest_port: int
    models_config_poll_s: float = 0.0
    max_load_retries: int = 5
    load_retry_s: float = 60.0
    rest_timeout_ms: int = 30_000
    cors: bool = False
    batching_file: Path | None = None


def find_binary(engine: str, host: str) -> str | None:
    """Returns the path of TensorFlow Serving; None for the local server.

    Args:
        engine: `python`, `tfserving`, or `auto`: TensorFlow Serving if it is
            there and can listen as wanted.
        host: to listen on.

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
    options: EngineOptions, models_config: Path, configs: Path
) -> list[str]:
    """Returns the flags of `tensorflow_model_server`.

    Args:
        options: ports and times.
        models_config: a file with base paths of this machine.
        configs: folder of batching, monitoring and session config.
    """
    batching = options.batching_file or configs / "batching.config"
    micros = round(1e6 * options.load_retry_s)
    poll_s = math.ceil(options.models_config_poll_s)
    flags = {
        "port": options.grpc_port,
        "rest_api_port": options.rest_port,
        "model_config_file": models_config,
        "model_config_file_poll_wait_seconds": poll_s,
        # Else it does not start with labels.
        "allow_version_labels_for_unavailable_models": "true",
        "max_num_load_retries": options.max_load_retries,
        "load_retry_interval_micros": micros,
        "enable_batching": "true",
        "batching_parameters_file": batching,
        "monitoring_config_file": configs / "monitoring.config",
        "tensorflow_session_config_file": configs / "session.config",
        "enable_grpc_healthcheck_service": "true",
        # A new version loads on one thread: the others go on answering.
        "num_load_threads": 1,
        "rest_api_timeout_in_ms": options.rest_timeout_ms,
        "rest_api_enable_cors_support": str(options.cors).lower(),
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def serve_model_server(
    binary: str, served: Path | TfServingSetup, options: EngineOptions
) -> int:
    """Runs TensorFlow Serving until it ends or is told to.

    Args:
        binary: its path.
        served: a `models.config`, or what one is to say.
        options: ports and times.

    Returns:
        Its exit status; 128 and the signal's number where one ended it.

    Raises:
        InputError: it would not start with that.
    """
    from serving.tfserving import setup

    with tempfile.TemporaryDirectory(prefix="tagforest-") as name:
        folder = Path(name)
        if isinstance(served, Path):
            models_config = served.resolve()
            setup.write_server_files(folder)
        else:
            models_config = setup.write_setup(folder, served)[0]
        return run([binary, *arguments(options, models_config, folder)])


def run(command: Sequence[str]) -> int:
    """Runs a command until it ends; SIGTERM and SIGINT go on to it.

    Returns:
        Its exit status; 128 and the signal's number where one ended it.
    """
    with _signals_held() as held, subprocess.Popen(list(command)) as process:
        _pass_on(process, held)
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _signals_held() -> Iterator[list[int]]:
    """Collects signals that come before the process is there."""
    held: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {
        n: signal.signal(n, lambda number, _: held.append(number))
        for n in numbers
    }
    try:
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(process: subprocess.Popen, held: Sequence[int]) -> None:
    def send(number: int, _: object = None) -> None:
        process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, send)
    for early in held:
        send(early)
