"""One image by gRPC and by REST against a bare call of the SavedModel.

Client and server share this process and the loopback interface; the client
is `serving.client.tag_client.TagClient`, so encoding and decoding count.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import keras
import numpy as np

from beam_jobs import layout
from beam_jobs.scenes.write_scenes import draw_unseen
from model import workdir as files
from model.configs import demo
from model.tagger import Tagger
from serving import contract
from serving.client.tag_client import TRANSPORTS, TagClient
from serving.saved_model.export import export
from serving.saved_model.servable import Servable
from serving.server.local_server import (
    RunningServer,
    ServerOptions,
    running_server,
)

from . import timing
from .classes import save_classes

_ROUNDS = 300
_IMAGE_SIZE = 128


def run(folder: Path) -> list[timing.Comparison]:
    """Exports an untrained tagger of the demo's size, and asks it."""
    version = export(_untrained(folder), folder / "export")
    [scene] = draw_unseen(folder, 1, seed=0, image_size=_IMAGE_SIZE)
    image = scene.path.read_bytes()
    servable = Servable(version)
    inputs = {contract.IMAGE_BYTES: np.array([image], object)}
    arms: dict[str, Callable[[], object]] = {
        timing.BARE: lambda: servable.run(contract.TAGS, inputs)
    }
    options = ServerOptions(grpc_port=0, rest_port=0)
    with ExitStack() as stack:
        server = stack.enter_context(running_server(version.parent, options))
        for name in TRANSPORTS:
            client = stack.enter_context(_client(server, name))
            arms[name] = lambda c=client: c.tag([image])
        for work in arms.values():
            _warm_up(work)
        seconds = timing.interleave(
            {name: timing.timed(work) for name, work in arms.items()}, _ROUNDS
        )
    return [_compare(name, seconds, len(image)) for name in TRANSPORTS]


def _untrained(folder: Path) -> Path:
    """Returns a training's folder whose weights are as good as any here."""
    workdir = folder / "workdir"
    vocabulary = save_classes(folder / "classes")
    workdir.mkdir()
    for name in (layout.VOCABULARY, layout.HIERARCHY):
        shutil.copy(vocabulary.with_name(name), workdir / name)
    config = demo.get_config()
    (workdir / files.CONFIG).write_text(config.to_json())
    keras.utils.set_random_seed(0)
    classes = len(vocabulary.read_text().splitlines()) - 1
    Tagger(config, classes).save_weights(workdir / files.WEIGHTS)
    return workdir


def _client(server: RunningServer, transport: str) -> TagClient:
    grpc = transport == "grpc"
    address = server.grpc_address if grpc else server.rest_address
    return TagClient(address, transport)


def _warm_up(work: Callable[[], object]) -> None:
    until = time.perf_counter() + 1
    while time.perf_counter() < until:
        work()


def _compare(
    name: str, seconds: dict[str, list[float]], image_bytes: int
) -> timing.Comparison:
    bare, ours = (
        [1000 * s for s in seconds[arm]] for arm in (timing.BARE, name)
    )
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
        {"calls": len(ours), "image bytes": image_bytes},
    )
