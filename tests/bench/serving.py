"""The server against bare calls of the same SavedModel.

    grpc, rest       one image of 110 KB, one client: added time
    echo             a bare Python gRPC server that returns the bytes
    rest over grpc   one by REST less one by gRPC
    TagClient        one by our client less one by a bare client
    32 clients       images a second, against the model's best batch
    memory           20,000 requests: resident memory after, before

The client runs in a process of its own. Bare clients are the official stub and
the standard library's HTTP, with messages made before. Networks are of
ResNet-50's size and of the demo's, whose calls vary less than what is added.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
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
_ROUNDS = 100
_LOAD_ROUNDS = 5
_LOAD_S = 12.0
_CLIENTS = 32
_REQUESTS = 20_000
_LARGE, _SMALL = 800, 128  # pixels
_JPEG_QUALITY = 96


def run(folder: Path) -> list[timing.Comparison]:
    """Exports untrained taggers, and asks them."""
    image = _picture(folder, _LARGE)
    resnet50 = export_untrained(folder / "resnet50", _resnet50())
    small = export_untrained(folder / "small", demo.get_config())
    with _served(resnet50, image) as (servable, client):
        found = [*_latency("resnet50", servable, client, image)]
        found.append(_throughput(servable, client, image))
    with _served(small, image) as (servable, client):
        found += _latency("demo", servable, client, image)
    with _served(small, _picture(folder, _SMALL)) as (_, client):
        found.append(_memory(client))
    return found


def _latency(
    network: str, servable: Servable, client: ClientProcess, image: Path
) -> Iterator[timing.Comparison]:
    one = _batch(image, 1)
    arms: dict[str, Callable[[], float]] = {
        timing.BARE: timing.timed(lambda: servable.run(contract.TAGS, one)),
        **{arm: partial(client.once, arm) for arm in _ARMS},
    }
    for _ in range(10):
        for work in arms.values():
            work()
    seconds = timing.interleave(arms, _ROUNDS)
    seconds["nothing"] = [0.0] * _ROUNDS
    size = image.stat().st_size
    for name, bare, ours in (
        ("grpc", timing.BARE, GRPC),
        ("rest", timing.BARE, REST),
        ("echo", "nothing", ECHO),
        ("rest over grpc", GRPC, REST),
        ("TagClient over grpc", GRPC, TAG_GRPC),
        ("TagClient over rest", REST, TAG_REST),
    ):
        yield _added(f"{network}: {name}", seconds[bare], seconds[ours], size)


def _added(
    name: str, bare_s: list[float], ours_s: list[float], size: int
) -> timing.Comparison:
    bare, ours = ([1000 * s for s in times] for times in (bare_s, ours_s))
    added = sorted(o - b for o, b in zip(ours, bare, strict=True))
    p50 = statistics.median(ours) - statistics.median(bare)
    tenth = len(added) // 10
    return timing.Comparison(
        f"serving {name}",
        "ms (p50)",
        statistics.median(bare),
        statistics.median(ours),
        ("added ms", p50),
        added[tenth],
        added[-tenth - 1],
        {"calls": len(ours), "image bytes": size},
    )


def _throughput(
    servable: Servable, client: ClientProcess, image: Path
) -> timing.Comparison:
    sizes = [s for s in contract.BATCH_SIZES if s > 1]
    best = max(sizes, key=lambda size: _batch_rate(servable, image, size))
    rates = timing.interleave(
        {
            timing.BARE: lambda: _batch_rate(servable, image, best),
            timing.OURS: lambda: client.load(GRPC, _CLIENTS, _LOAD_S),
        },
        _LOAD_ROUNDS,
    )
    details = {"clients": _CLIENTS, "best batch": best}
    return timing.compare_rates(
        "serving 32 clients", "images/s", rates, details
    )


def _batch_rate(servable: Servable, image: Path, size: int) -> float:
    """Returns images a second of a model that gets full batches.

    Two at a time: one is decoded while the other is computed.
    """
    batch = _batch(image, size)
    end = time.perf_counter() + _LOAD_S / 2

    def work() -> int:
        calls = 0
        while time.perf_counter() < end:
            servable.run(contract.TAGS, batch)
            calls += 1
        return calls

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        calls = sum(pool.map(lambda _: work(), range(2)))
    return calls * size / (time.perf_counter() - start)


def _memory(client: ClientProcess) -> timing.Comparison:
    process = psutil.Process()
    resident = []
    for _ in range(10):
        for _ in range(_REQUESTS // 20):
            client.once(GRPC)
            client.once(REST)
        resident.append(process.memory_info().rss / 2**20)
    return timing.Comparison(
        "serving memory",
        "MiB",
        resident[0],
        resident[-1],
        ("ratio", resident[-1] / resident[0]),
        min(resident) / resident[0],
        max(resident) / resident[0],
        {"requests": _REQUESTS},
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


def _picture(folder: Path, size: int) -> Path:
    folder = folder / f"picture_{size}"
    [scene] = draw_unseen(folder, 1, seed=0, image_size=size)
    path = folder / "picture.jpg"
    Image.open(scene.path).save(path, quality=_JPEG_QUALITY)
    return path


def _batch(image: Path, size: int) -> dict[str, np.ndarray]:
    data = np.array([image.read_bytes()] * size, object)
    return {contract.IMAGE_BYTES: data}
