"""Does an exported model answer as it should, in a server? Before a push."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from serving.api import contract
from serving.api.prediction import Prediction, ServerError
from serving.api.serve_check_options import ServeCheckOptions
from serving.api.server_options import ServerOptions
from serving.client.tag_client import TagClient
from serving.saved_model import doctor
from serving.saved_model.servable import Servable
from serving.saved_model.warmup import sample_image
from serving.server.local_server import running_server

# Calls that latency is measured by, after a few that are not.
_CALLS, _BEFORE = 40, 5
# Float32 through protobuf and JSON; batches of other sizes add in another
# order.
_TOLERANCE = 1e-5
# A PNG: of a JPEG libjpeg would write lines of its own.
_BROKEN = b"\x89PNG\r\n\x1a\nno image"
_MEGABYTE = 1e6


@dataclass(frozen=True)
class ServeChecked:
    """What a model did in the server.

    Attributes:
        reasons: why it should not be pushed, a line each.
        latency_ms: the median answer for one image over gRPC.
        slowest_ms: the 99th percentile.
        memory_mb: that the process grew by.
    """

    reasons: tuple[str, ...]
    latency_ms: float = math.nan
    slowest_ms: float = math.nan
    memory_mb: float = math.nan


def serve_check(
    version_dir: Path, options: ServeCheckOptions | None = None
) -> ServeChecked:
    """Serves a version on loopback, and compares answers with the model's.

    The server replays the warm-up requests before it answers. Asked are a
    good image over gRPC and REST, and one that is broken.

    Args:
        version_dir: a SavedModel that `tagforest export` wrote; its folder
            need not have a number.
    """
    options = options or ServeCheckOptions()
    errors = [f for f in doctor.examine_version(version_dir) if f.is_error]
    if errors:
        return ServeChecked(tuple(f"{f.where}: {f.what}" for f in errors))
    model = Servable(version_dir)
    try:
        return _served(version_dir, model, options)
    except ServerError as error:
        return ServeChecked((f"the server does not answer: {error}",))
    finally:
        model.close()


def _served(
    version_dir: Path, model: Servable, options: ServeCheckOptions
) -> ServeChecked:
    before = psutil.Process().memory_info().rss
    ports = ServerOptions(grpc_port=0, rest_port=0)
    with tempfile.TemporaryDirectory() as folder:
        # A server looks for numbers.
        (Path(folder) / "1").symlink_to(version_dir.absolute())
        with running_server(Path(folder), ports) as server:
            reasons = [
                *_wrong_answers(server.grpc_address, "grpc", model),
                *_wrong_answers(server.rest_address, "rest", model),
            ]
            times = _latencies_ms(server.grpc_address)
            grown = psutil.Process().memory_info().rss - before
    median, slowest = np.percentile(times, (50, 99))
    memory = max(grown, 0) / _MEGABYTE
    if slowest > options.max_latency_ms:
        reasons.append(
            f"the slowest answers take {slowest:.0f} ms (--max-latency-ms "
            f"{options.max_latency_ms:g})"
        )
    if memory > options.max_memory_mb:
        reasons.append(
            f"the loaded model takes {memory:.0f} MB (--max-memory-mb "
            f"{options.max_memory_mb:g})"
        )
    return ServeChecked(tuple(reasons), float(median), float(slowest), memory)


def _wrong_answers(
    address: str, transport: str, model: Servable
) -> Iterator[str]:
    images = [sample_image(), sample_image(96, 64), _BROKEN]
    inputs = {contract.IMAGE_BYTES: np.array(images, object)}
    wanted = model.run(contract.TAGS, inputs)
    with TagClient(address, transport) as client:
        answers = client.tag(images)
    for row, answer in enumerate(answers):
        if answer.valid != bool(wanted[contract.VALID][row]):
            yield f"{transport}: image {row} is valid: {answer.valid}"
        elif answer.valid and isinstance(answer, Prediction):
            scores = wanted[contract.SCORE_VALUES][row]
            # Behind the last tag a row is filled up.
            named = wanted[contract.WNIDS][row] != b""
            yield from _differences(transport, answer, scores[named])


def _differences(
    transport: str, answer: Prediction, scores: np.ndarray
) -> Iterator[str]:
    got = np.array([tag.score for tag in answer.tags])
    if len(got) != len(scores):
        yield f"{transport}: {len(got)} tags where the model has {len(scores)}"
    elif len(got) and np.abs(got - scores).max() > _TOLERANCE:
        yield (
            f"{transport}: scores differ from the model's by "
            f"{np.abs(got - scores).max():.2g}"
        )


def _latencies_ms(address: str) -> Sequence[float]:
    images, times = [sample_image()], []
    with TagClient(address, "grpc") as client:
        for _ in range(_BEFORE + _CALLS):
            start = time.perf_counter()
            client.tag(images)
            times.append((time.perf_counter() - start) * 1e3)
    return times[_BEFORE:]
