"""Tests of serving.server.request_log, alone and behind a server."""

import logging
import threading
from shutil import copyfile, copytree

import httpx
import numpy as np
import orjson
import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.tfrecords import read_framed
from serving.api import protos
from serving.api.request_log_options import TFRECORD, RequestLogOptions
from serving.api.server_options import ServerOptions
from serving.api.tag_options import TagOptions
from serving.api.tensor_proto import from_proto
from serving.client.tag_client import ClientOptions, ServerError, TagClient
from serving.saved_model.servable import Servable
from serving.saved_model.warmup import WARMUP_FILE
from serving.server import request_log
from serving.server.local_server import running_server
from serving.server.request_log import Entry, RequestLog
from serving.server.request_metrics import PATH
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until


@pytest.fixture
def options(tmp_path):
    return RequestLogOptions(file=tmp_path / "requests.jsonl", sample=1.0)


def lines(options):
    return [orjson.loads(x) for x in options.file.read_bytes().splitlines()]


def entry(number=0):
    made = Entry({"model": "m", "ms": float(number)})
    images = np.array([noise_image(number)], object)
    made.add_run({"image_bytes": images}, {})
    return made


def test_what_is_put_is_written(options):
    log = RequestLog(options)
    for number in range(50):
        log.put(entry(number))
    log.close()
    log.close()
    log.put(entry())
    assert [row["ms"] for row in lines(options)] == [*range(50)]
    assert lines(options)[0]["images"][0]["width"] == 40
    assert log.counts == {"written": 50, "dropped": 1}


def test_the_sample_is_drawn(options, tmp_path):
    options = RequestLogOptions(tmp_path / "b", sample=0.25)
    draws = iter([0.1, 0.25, 0.9, 0.2])
    log = RequestLog(options, lambda: next(draws))
    taken = [log.takes() for _ in range(4)]
    log.close()
    assert taken == [True, False, False, True]


@pytest.mark.parametrize("limit", ["_MOST_WAITING", "_MOST_WAITING_BYTES"])
def test_no_room_drops_and_never_waits(options, monkeypatch, limit):
    """The writer is held, as by a disk that hangs."""
    most = 5 if limit == "_MOST_WAITING" else 5 * entry().bytes
    monkeypatch.setattr(request_log, limit, most)
    held = threading.Event()
    log = RequestLog(options)
    write = log._file.write
    monkeypatch.setattr(
        log._file, "write", lambda line: (held.wait(20), write(line))
    )
    for _ in range(20):
        log.put(entry())
    assert log.counts == {"dropped": 15}
    held.set()
    log.close()
    assert log.counts == {"dropped": 15, "written": 5}
    assert len(lines(options)) == 5


def test_a_full_disk_is_told_once(options, monkeypatch, caplog):
    log = RequestLog(options)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log._file, "write", full)
    with caplog.at_level(logging.WARNING):
        for _ in range(9):
            log.put(entry())
        log.close()
    assert log.counts == {"failed": 9}
    told = [r for r in caplog.records if "misses requests" in r.getMessage()]
    assert len(told) == 1 and "No space left" in told[0].getMessage()


def test_what_other_models_answer_fails_nothing(options):
    log = RequestLog(options)
    strange = np.array([[1, None]], object)
    made = Entry({"model": "m"})
    made.add_run(
        {"image_bytes": strange}, {"wnids": strange, "scores": strange}
    )
    log.put(made)
    log.put(entry())
    log.close()
    assert log.counts == {"failed": 1, "written": 1}


def test_refused_options(tmp_path):
    with pytest.raises(InputError, match="need --request-log FILE"):
        ServerOptions(request_log=RequestLogOptions(sample=0.5))
    # There, it is how the logs of the file are kept.
    kept = RequestLogOptions(images=True)
    models_config = tmp_path / "models.config"
    ServerOptions(request_log=kept, models_config=models_config)
    sampled = RequestLogOptions(images=True, sample=0.5)
    with pytest.raises(InputError, match="need --request-log FILE"):
        ServerOptions(request_log=sampled, models_config=models_config)
    with pytest.raises(InputError, match="one of jsonl, tfrecord.*csv"):
        RequestLogOptions(file=tmp_path / "a", format="csv")
    with pytest.raises(InputError, match="no such folder"):
        RequestLogOptions(file=tmp_path / "none" / "a")
    with pytest.raises(InputError, match="received a folder"):
        RequestLogOptions(file=tmp_path)
    with pytest.raises(InputError, match="received: 0"):
        RequestLogOptions(file=tmp_path / "a", sample=0)


def test_a_server_logs_both_transports_and_errors(model_base, options):
    images = [noise_image(n) for n in range(3)]
    served = ServerOptions(grpc_port=0, rest_port=0, request_log=options)
    with running_server(model_base, served) as server:
        for address, kind in (
            (server.grpc_address, "grpc"),
            (server.rest_address, "rest"),
        ):
            with TagClient(address, kind) as client:
                answered = client.tag(images)
            with TagClient(address, kind, ClientOptions(model="x")) as client:
                with pytest.raises(ServerError):
                    client.tag(images[:1])
        url = f"http://{server.rest_address}{PATH}"
        written = 'tagforest_request_log{result="written"} 4.0'
        wait_until(lambda: written in httpx.get(url).text)
    grpc, no_grpc, rest, no_rest = lines(options)
    for row, entrypoint in ((grpc, "GRPC"), (rest, "REST")):
        assert (row["entrypoint"], row["api"]) == (entrypoint, "Predict")
        assert (row["model"], row["version"]) == ("tagforest", 1)
        assert row["signature"] == "serving_default" and row["status"] == "OK"
        assert row["ms"] > 0 and row["sample"] == 1.0 and row["time"] > 1.6e9
        assert len(row["images"]) == 3
    assert grpc["images"] == rest["images"]
    best = [tag.wnid for tag in answered[0].tags]
    assert rest["images"][0]["wnids"] == best
    for row in (no_grpc, no_rest):
        assert row["status"] == "NOT_FOUND"
        # A stranger's name is not kept.
        assert not {"images", "model", "version"} & set(row)


def test_a_log_in_use_is_told_before_the_model_is_loaded(tmp_path, options):
    log = RequestLog(options)
    served = ServerOptions(grpc_port=0, rest_port=0, request_log=options)
    with pytest.raises(InputError, match="another server"):
        # The folder is empty: loading would fail with another message.
        with running_server(tmp_path, served):
            pass
    log.close()


def records(path):
    with path.open("rb") as file:
        found = list(read_framed(file, 10**8))
    return [
        protos.prediction_log_pb2.PredictionLog.FromString(r) for r in found
    ]


@pytest.mark.parametrize("images", [True, False])
def test_records_are_warm_up_requests(model_base, tmp_path, images):
    options = RequestLogOptions(
        tmp_path / "log", TFRECORD, sample=1.0, images=images
    )
    sent = [noise_image(n) for n in range(3)]
    served = ServerOptions(grpc_port=0, rest_port=0, request_log=options)
    with running_server(model_base, served) as server:
        with TagClient(server.grpc_address, "grpc") as client:
            answered = client.tag(sent)
        with TagClient(server.rest_address, "rest") as client:
            client.tag(sent[:1], TagOptions(most_specific=True))
        other = ClientOptions(model="x")
        with TagClient(server.rest_address, "rest", other) as client:
            with pytest.raises(ServerError):
                client.tag(sent)
        page = f"http://{server.rest_address}{PATH}"
        # What failed would keep a version from loading.
        left_out = 'tagforest_request_log{result="left_out"} 1'
        wait_until(lambda: left_out in httpx.get(page).text)
    first, second = records(options.file)
    run = first.predict_log
    held = from_proto(run.response.outputs["wnids"])
    assert [w.decode() for w in held[0]] == [t.wnid for t in answered[0].tags]
    assert "status=OK" in first.log_metadata.saved_model_tags
    assert second.log_metadata.model_spec.signature_name == "select"
    assert second.log_metadata.request_origin == "REST"
    held = from_proto(run.request.inputs["image_bytes"]).tolist()
    assert held == (sent if images else [b""] * 3)
    version = copytree(model_base / "1", tmp_path / "copy" / "1")
    copyfile(options.file, version / WARMUP_FILE)
    servable = Servable(version)
    assert servable.warm_up() == 2
    servable.close()
