from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.server_options import (
    RequestLogOptions,
    RestOptions,
    RetryOptions,
    ServerOptions,
)
from serving.api.trace_options import TraceOptions
from serving.tfserving.engine import (
    BINARY,
    arguments,
    find_binary,
    serve_model_server,
)
from tests.helpers.waiting import LIMIT_S

# Stands where TensorFlow Serving would: notes what it got, waits for a signal.
STAND_IN = """#!{python}
import json, signal, sys
from pathlib import Path

def end(number, _):
    Path({out!r}, "signal").write_text(str(number))
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:])
files = {{k: Path(v).read_text() for k, v in flags.items() if v[0] == "/"}}
text = json.dumps([flags, files])
Path({out!r}, "got").write_text(text)
print("ready", flush=True)
signal.pause()
"""
SERVE = "import typer; from serving.server.cli import serve; " + (
    "app = typer.Typer(); app.command()(serve); app()"
)


@pytest.fixture(name="path")
def fixture_path(tmp_path, monkeypatch):
    """PATH with the stand-in first."""
    binary = tmp_path / "bin" / BINARY
    binary.parent.mkdir()
    text = STAND_IN.format(python=sys.executable, out=str(tmp_path))
    binary.write_text(text)
    binary.chmod(0o755)
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    return binary


def test_arguments():
    options = ServerOptions(
        models_config_poll_s=0.5,
        retries=RetryOptions(3, 1.5),
        rest=RestOptions(5.0, cors=True),
    )
    assert arguments(options, Path("/m/models.config"), Path("/c")) == [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_config_file=/m/models.config",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models=true",
        "--max_num_load_retries=3",
        "--load_retry_interval_micros=1500000",
        "--enable_batching=true",
        "--batching_parameters_file=/c/batching.config",
        "--monitoring_config_file=/c/monitoring.config",
        "--tensorflow_session_config_file=/c/session.config",
        "--enable_grpc_healthcheck_service=true",
        "--num_load_threads=1",
        "--rest_api_timeout_in_ms=5000",
        "--rest_api_enable_cors_support=true",
    ]


def test_which_engine(path, monkeypatch):
    assert find_binary("python", "0.0.0.0") is None
    assert find_binary("tfserving", "0.0.0.0") == str(path)
    assert find_binary("auto", "::") == str(path)
    assert find_binary("auto", "127.0.0.1") is None
    with pytest.raises(InputError, match="on 127.0.0.1 alone; say --host 0"):
        find_binary("tfserving", "127.0.0.1")
    with pytest.raises(InputError, match="python, tfserving, auto"):
        find_binary("tf", "0.0.0.0")
    monkeypatch.setenv("PATH", "")
    assert find_binary("auto", "0.0.0.0") is None
    with pytest.raises(InputError, match="not on PATH.*tfx/serving/setup"):
        find_binary("tfserving", "0.0.0.0")


def test_its_own_config_logs_requests(tmp_path):
    log = RequestLogOptions(file=tmp_path / "requests.jsonl")
    options = ServerOptions(grpc_port=1, rest_port=2, request_log=log)
    with pytest.raises(InputError, match="--engine python for --request-log"):
        serve_model_server("none", tmp_path, options)
    assert not list(tmp_path.iterdir())


def test_it_makes_no_traces(tmp_path):
    traces = TraceOptions(endpoint="http://localhost:4318")
    options = ServerOptions(grpc_port=1, rest_port=2, traces=traces)
    with pytest.raises(InputError, match="--engine python for --traces"):
        serve_model_server("none", tmp_path, options)


def serve(tmp_path, *given):
    """Runs the command until it is ready, ends it; flags, files, status."""
    chosen = ["--engine", "tfserving", "--host", "0.0.0.0"]
    ports = ["--grpc-port", "0", "--rest-port", "0"]
    running = subprocess.Popen(
        [sys.executable, "-c", SERVE, *given, *chosen, *ports],
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        status = running.wait(LIMIT_S)
    assert (tmp_path / "signal").read_text() == str(int(signal.SIGTERM))
    flags, files = json.loads((tmp_path / "got").read_text())
    return flags, files, status


def test_it_is_run_and_ended(path, tmp_path):
    for version in ("1", "2", "3"):
        (tmp_path / "m" / version).mkdir(parents=True)
    labels = ["--label", "stable=1", "--label", "canary=3"]
    flags, files, status = serve(tmp_path, str(tmp_path / "m"), *labels)
    assert status == 7
    assert int(flags["port"]) > 0 and int(flags["rest_api_port"]) > 0
    message = protos.model_server_config_pb2.ModelServerConfig()
    text = files["model_config_file"]
    [model] = text_format.Parse(text, message).model_config_list.config
    assert model.base_path == str(tmp_path / "m")
    assert dict(model.version_labels) == {"stable": 1, "canary": 3}
    assert list(model.model_version_policy.specific.versions) == [1, 3]
    assert "allowed_batch_sizes: 32" in files["batching_parameters_file"]
    # Its folder is gone with it.
    assert not Path(flags["batching_parameters_file"]).parent.exists()


def test_a_given_models_config_is_followed(path, tmp_path):
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "a" base_path: "/a" '
        'model_platform: "tensorflow" } }'
    )
    poll = ["--model-config-poll-s", "2"]
    flags, _, _ = serve(tmp_path, "--model-config-file", str(config), *poll)
    assert flags["model_config_file"] == str(config)
    assert flags["model_config_file_poll_wait_seconds"] == "2"
