"""Tests of serving.server.request_logs, alone and while a server reloads."""

import threading
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import orjson
import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.tfrecords import read_framed
from serving.api import protos
from serving.api.models_config import ModelConfig, ModelLog, read_config
from serving.api.request_log_options import (
    JSONL,
    TFRECORD,
    RequestLogOptions,
)
from serving.api.server_options import ServerOptions
from serving.api.tensor_proto import to_proto
from serving.server.local_server import running_server
from serving.server.log_file import LogFile
from serving.server.request_logs import RequestLogs
from serving.tfserving.model_admin import ModelAdmin
from tests.helpers.waiting import wait_until


def model(name: str, file: Path | None = None, form=JSONL, sample=1.0):
    log = ModelLog(file, form, sample) if file else None
    return ModelConfig(name, Path("/m") / name, log=log)


def ask(logs: RequestLogs, name: str, count: int = 1) -> None:
    for _ in range(count):
        if entry := logs.draw(name):
            entry.facts = {"model": name}
            entry.put()


def models_of(file: Path) -> list[str]:
    return [orjson.loads(x)["model"] for x in file.read_bytes().splitlines()]


def test_each_log_has_its_models_requests(tmp_path):
    common = RequestLogOptions(tmp_path / "all", sample=1.0)
    logs = RequestLogs(common)
    logs.apply([model("a", tmp_path / "a"), model("b")])
    for name in ("a", "b", "stranger"):
        ask(logs, name)
    logs.close()
    assert models_of(tmp_path / "all") == ["a", "b", "stranger"]
    assert models_of(tmp_path / "a") == ["a"]
    assert logs.counts == {"written": 4}


def test_what_was_drawn_is_written_when_a_log_ends(tmp_path):
    logs = RequestLogs(RequestLogOptions())
    logs.apply([model("a", tmp_path / "one")])
    drawn = logs.draw("a")
    logs.apply([model("a", tmp_path / "two")])
    ask(logs, "a")
    logs.apply([model("a")])
    assert logs.draw("a") is None
    drawn.facts = {"model": "late"}
    drawn.put()
    # On again: the file is still its own, or free.
    for _ in range(3):
        logs.apply([model("a", tmp_path / "one")])
        ask(logs, "a")
        logs.apply([])
    logs.close()
    assert models_of(tmp_path / "one") == ["late", "a", "a", "a"]
    assert models_of(tmp_path / "two") == ["a"]
    assert logs.counts == {"written": 5}


def test_another_share_goes_on_in_the_file(tmp_path):
    logs = RequestLogs(RequestLogOptions())
    logs.apply([model("a", tmp_path / "a", sample=1e-12)])
    ask(logs, "a", 20)
    logs.apply([model("a", tmp_path / "a")])
    ask(logs, "a", 20)
    logs.close()
    assert len(models_of(tmp_path / "a")) == 20


def test_what_cannot_be_written_changes_nothing(tmp_path):
    logs = RequestLogs(RequestLogOptions(tmp_path / "all", sample=1.0))
    logs.apply([model("a", tmp_path / "a")])
    for wrong, said in (
        (
            [model("b", tmp_path / "new"), model("c", tmp_path / "no" / "c")],
            "no",
        ),
        ([model("b", tmp_path / "b"), model("c", tmp_path / "b")], "model b"),
        ([model("b", tmp_path / "all")], "--request-log"),
    ):
        with pytest.raises(InputError, match=said):
            logs.apply(wrong)
    ask(logs, "a")
    logs.close()
    assert models_of(tmp_path / "a") == ["a"]


@pytest.fixture
def write_config(versions_base, tmp_path):
    """Returns a function that writes a models.config with a log."""

    def write(log: str) -> Path:
        file = tmp_path / "models.config"
        file.with_suffix(".new").write_text(
            f'model_config_list {{ config {{ name: "m" base_path: '
            f'"{versions_base}" model_platform: "tensorflow" '
            f"model_version_policy {{ specific {{ versions: 1 }} }} {log} }} }}"
        )
        file.with_suffix(".new").replace(file)
        return file

    return write


def logging_config(prefix: Path, kind: str) -> str:
    return (
        f'logging_config {{ log_collector_config {{ type: "{kind}" '
        f'filename_prefix: "{prefix}" }} sampling_config {{ '
        "sampling_rate: 1.0 } }"
    )


def count_of(path: Path) -> int:
    if path.suffix == f".{JSONL}":
        return len(path.read_bytes().splitlines())
    with path.open("rb") as file:
        return len(list(read_framed(file, 10**8)))


@pytest.mark.parametrize("poll_s", [0.05, 0])
def test_reloads_lose_no_request(write_config, tmp_path, poll_s):
    """On, another file and form, off: by the file, and by requests."""
    file = write_config(logging_config(tmp_path / "a", JSONL))
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        models_config=file,
        models_config_poll_s=poll_s,
    )
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["image_bytes"].CopyFrom(to_proto(np.array([b"x"], object)))
    sent, stop = [], threading.Event()
    files = [tmp_path / "a.jsonl"]
    with running_server(None, options) as server, ExitStack() as stack:
        admin = ModelAdmin(server.grpc_address)
        stack.callback(admin.close)
        channel = stack.enter_context(
            grpc.insecure_channel(server.grpc_address)
        )
        stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def send() -> None:
            while not stop.is_set():
                stub.Predict(request)
                sent.append(1)

        workers = [threading.Thread(target=send) for _ in range(4)]
        for worker in workers:
            worker.start()
        for number, kind in enumerate((TFRECORD, JSONL, "", JSONL)):
            write_config(logging_config(tmp_path / f"b{number}", kind))
            files.append(tmp_path / f"b{number}.{kind or TFRECORD}")
            if not poll_s:
                admin.reload(read_config(file))
            wait_until(files[-1].exists)
            before = len(sent)
            wait_until(lambda before=before: len(sent) > before + 20)
        stop.set()
        for worker in workers:
            worker.join()
        logged = len(sent)
        write_config("")
        if not poll_s:
            admin.reload(read_config(file))
        wait_until(lambda: stub.Predict(request) and is_free(files[-1]))
    assert sum(map(count_of, files[:-1])) > 0
    assert sum(map(count_of, files)) >= logged > 80


def is_free(path: Path) -> bool:
    """Returns whether no log holds the file any more."""
    try:
        LogFile(path, 10**8, 2).close()
    except InputError:
        return False
    return True
