"""The server against bare calls of the same SavedModel.

    grpc, rest       one image of 110 KB, one client: added time
    echo             a bare Python gRPC server that returns the bytes
    rest over grpc   one by REST less one by gRPC
    TagClient        one by our client less one by a bare client
    32 clients       images a second, against the model's best batch
    memory           8,000 requests: resident memory after, before

The client runs in a process of its own. Bare clients are the official stub and
the standard library's HTTP, with messages made before. One call of a network of
ResNet-50's size varies by more than is added, so that the added times are
those of the demo's; the larger network is for the 32 clients.
"""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import grpc
import keras
import numpy as np
import psutil
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.scenes.write_scenes import draw_unseen
from model import workdir as files
from model.config import Config, DataConfig, NetworkConfig
from model.configs import demo
from model.network.tagger import Tagger
from serving.api import contract
from serving.api.server_options import ServerOptions
from serving.saved_model.export import export
from serving.saved_model.servable import Servable
from serving.server.local_server import running_server

from . import timing
from .classes import save_classes
from .serving_client import (
    ECHO,
    ECHO_METHOD,
    GRPC,
    REST,
    TAG_GRPC,
    TAG_REST,
    ClientProcess,
)

_ARMS = (GRPC, REST, ECHO, TAG_GRPC, TAG_REST)
_ROUNDS, _CALLS = 12, 30
_LOAD_ROUNDS = 6
_LOAD_S = 4.0
_CLIENTS = 32
_REQUESTS = 8000
_LARGE, _SMALL = 800, 128  # pixels
_JPEG_QUALITY = 96


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int = _ROUNDS
    calls: int = _CALLS
    load_rounds: int = _LOAD_ROUNDS
    load_s: float = _LOAD_S
    requests: int = _REQUESTS


_SHORT = Size(rounds=1, calls=3, load_rounds=1, load_s=1.0, requests=100)


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Exports untrained taggers, and asks them."""
    size = _SHORT if short else Size()
    image = _image(folder, _LARGE)
    large = demo.get_config() if short else _resnet50()
    resnet50 = export_untrained(folder / "resnet50", large)
    small = export_untrained(folder / "small", demo.get_config())
    with _served(resnet50, image) as (servable, client):
        found = [_throughput(servable, client, image, size)]
    with _served(small, image) as (servable, client):
        found += _latency(servable, client, image, size)
    with _served(small, _image(folder, _SMALL)) as (_, client):
        found.append(_memory(client, size.requests))
    return found


def _latency(
    servable: Servable, client: ClientProcess, image: Path, size: Size
) -> Iterator[timing.Comparison]:
    one = _batch(image, 1)
    bare = timing.timed(lambda: servable.run(contract.TAGS, one))
    arms: dict[str, Callable[[], float]] = {
        timing.BARE: lambda: bare().wall,
        **{arm: partial(client.once, arm) for arm in _ARMS},
    }
    _medians(arms, size.calls)
    rounds = [_medians(arms, size.calls) for _ in range(size.rounds)]
    for name, less, arm in (
        ("grpc", timing.BARE, GRPC),
        ("rest", timing.BARE, REST),
        ("rest over grpc", GRPC, REST),
        ("TagClient over grpc", GRPC, TAG_GRPC),
        ("TagClient over rest", REST, TAG_REST),
    ):
        yield timing.compare_added(
            f"serving {name}",
            [medians[less] for medians in rounds],
            [medians[arm] for medians in rounds],
        )
    echo = timing.figure([1000 * medians[ECHO] for medians in rounds])
    yield timing.Comparison(
        "serving echo",
        "ms",
        timing.exact(0.0),
        echo,
        "takes ms",
        echo,
        {"image bytes": image.stat().st_size, "calls": size.calls * 2},
    )


def _medians(
    arms: dict[str, Callable[[], float]], calls: int
) -> dict[str, float]:
    """Returns the median seconds of each arm, called there and back."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(calls):
        for name in (*arms, *reversed(arms)):
            seconds[name].append(arms[name]())
    return {name: statistics.median(each) for name, each in seconds.items()}


def _throughput(
    servable: Servable, client: ClientProcess, image: Path, size: Size
) -> timing.Comparison:
    def batches(images: int) -> timing.Took:
        return _batch_rate(servable, image, images, size.load_s / 2)

    def clients() -> timing.Took:
        rate = client.load(GRPC, _CLIENTS, size.load_s)
        # The time on the clock of what ran beside one another; the server's
        # share of the CPU time cannot be told from the client's.
        return timing.Took(rate * size.load_s, size.load_s, math.nan)

    best = max(
        (images for images in contract.BATCH_SIZES if images > 1),
        key=lambda images: _per_second(batches(images)),
    )
    took = timing.interleave(
        {timing.BARE: lambda: batches(best), timing.OURS: clients},
        size.load_rounds,
    )
    details = {"clients": _CLIENTS, "best batch": best}
    return timing.compare_rates(
        "serving 32 clients", "images", took, details, timing.WALL
    )


def _per_second(took: timing.Took) -> float:
    return took.count / took.wall


def _batch_rate(
    servable: Servable, image: Path, size: int, seconds: float
) -> timing.Took:
    """Times a model that gets full batches.

    Two at a time: one is decoded while the other is computed.
    """
    batch = _batch(image, size)
    end = time.perf_counter() + seconds

    def work() -> int:
        calls = 0
        while time.perf_counter() < end:
            servable.run(contract.TAGS, batch)
            calls += 1
        return calls

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        calls = sum(pool.map(lambda _: work(), range(2)))
    return timing.Took(calls * size, time.perf_counter() - start, math.nan)


def _memory(client: ClientProcess, requests: int) -> timing.Comparison:
    process = psutil.Process()
    resident = []
    for _ in range(10):
        for _ in range(requests // 20):
            client.once(GRPC)
            client.once(REST)
        resident.append(process.memory_info().rss / 2**20)
    return timing.Comparison(
        "serving memory",
        "MiB",
        timing.exact(resident[0]),
        timing.exact(resident[-1]),
        "ratio",
        timing.exact(resident[-1] / resident[0]),
        {"requests": requests, "most MiB": max(resident)},
    )


@contextmanager
def _served(
    version: Path, image: Path
) -> Iterator[tuple[Servable, ClientProcess]]:
    options = ServerOptions(grpc_port=0, rest_port=0)
    with ExitStack() as stack:
        server = stack.enter_context(running_server(version.parent, options))
        echo = stack.enter_context(_echo_server())
        client = stack.enter_context(
            ClientProcess(server.grpc_address, server.rest_address, echo, image)
        )
        servable = Servable(version)
        servable.warm_up()
        yield servable, client


@contextmanager
def _echo_server() -> Iterator[str]:
    """A gRPC server that returns what it gets: the least there can be."""
    server = grpc.server(ThreadPoolExecutor(4))
    service, method = ECHO_METHOD.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(lambda data, _: data)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {method: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def _resnet50() -> Config:
    return replace(
        Config(data=DataConfig(), network=NetworkConfig(blocks=(3, 4, 6, 3))),
        name="resnet50",
    )


def export_untrained(folder: Path, config: Config) -> Path:
    """Exports untrained weights, which are as good as any here."""
    workdir = folder / "workdir"
    vocabulary = save_classes(folder / "classes")
    workdir.mkdir()
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        shutil.copy(vocabulary.with_name(name), workdir / name)
    (workdir / files.CONFIG).write_text(config.to_json())
    keras.utils.set_random_seed(0)
    classes = len(vocabulary.read_text().splitlines()) - 1
    Tagger(config, classes).save_weights(workdir / files.WEIGHTS)
    return export(workdir, folder / "export")


def _image(folder: Path, size: int) -> Path:
    folder = folder / f"image_{size}"
    [scene] = draw_unseen(folder, 1, seed=0, image_size=size)
    path = folder / "image.jpg"
    Image.open(scene.path).save(path, quality=_JPEG_QUALITY)
    return path


def _batch(image: Path, size: int) -> dict[str, np.ndarray]:
    data = np.array([image.read_bytes()] * size, object)
    return {contract.IMAGE_BYTES: data}
