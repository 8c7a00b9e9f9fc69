"""`python -m tests.bench.drift MODELS [short]`: is what was planted found?

    no drift      windows of undisturbed requests: alarms
    subtree       the share of one subtree doubled
    brightness    every pixel 1.25 times as bright
    quality       every image a JPEG of quality 20
    log           images a second of 32 clients with and without a request log

Scenes that no training has seen go through the real server, one a request, and
its request log is cut into windows of 2,000 requests; the reference is drawn
from other scenes of the same log. MODELS is `models/tagforest` of a demo.
"""

from __future__ import annotations

import base64
import functools
import io
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.scenes.write_scenes import draw_unseen
from serving.api import contract
from serving.api.request_log_options import FORMATS, RequestLogOptions
from serving.api.server_options import ServerOptions
from serving.client.tag_client import TagClient
from serving.drift.compare import SUBTREE, Change, compare
from serving.drift.options import ALPHA
from serving.drift.read_log import log_files
from serving.saved_model.servable import Servable
from serving.server.local_server import running_server
from serving.server.request_log import Entry, RequestLog
from serving.traffic.tallies import Tally

from . import timing
from .__main__ import show
from .serving_client import GRPC, ClientProcess

_SIDE = 128
_LIGHT, _BYTES = "brightness", "bytes per pixel"
_AS_DRAWN = 90  # quality
_CLIENTS = 32
_LINES = 1000  # as many as have room in the queue
# Shares of subtrees that are doubled.
_LEAST_SHARE, _MOST_SHARE = 0.03, 0.1

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        scenes: undisturbed; a third is the reference.
        shifted: scenes of each other shift.
        splits: of the scenes into reference and windows.
        windows: of each split, or of each planted shift.
        requests: of a window.
        fewer: of a shorter one, in which planted shifts are looked for, too.
        subtrees: that are doubled, one after the other.
    """

    scenes: int = 15_000
    shifted: int = 3000
    splits: int = 20
    windows: int = 20
    requests: int = 2000
    fewer: int = 500
    subtrees: int = 8
    load_rounds: int = 12
    load_s: float = 2.0


SHORT = Size(900, 300, 2, 2, 250, 200, 1, 1, 1.0)


def main() -> None:
    """Measures with the model that the command line names."""
    models = Path(sys.argv[1])
    size = SHORT if "short" in sys.argv[2:] else Size()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [*measure(folder, models, size)]
        show([*found, *throughput(folder, models, size)])


def measure(
    folder: Path, models: Path, size: Size
) -> Iterator[timing.Comparison]:
    """Yields what was found in windows of scenes.

    Args:
        models: base folder of a tagger of the demo's classes.
    """
    scenes = draw_unseen(
        folder / "scenes", size.scenes, seed=0, image_size=_SIDE
    )
    files = [scene.path.read_bytes() for scene in scenes]
    rows = log_rows(folder, models, files)
    pool = _Pool(models, rows, [{*scene.wnids} for scene in scenes], size)
    yield pool.undisturbed()
    yield pool.doubled()
    for name, change, figure in (
        ("brightness x 1.25", functools.partial(_brighter, 1.25), _LIGHT),
        ("brightness x 1.05", functools.partial(_brighter, 1.05), _LIGHT),
        ("JPEG quality 20", functools.partial(_worse, 20), _BYTES),
        ("JPEG quality 80", functools.partial(_worse, 80), _BYTES),
    ):
        shifted = log_rows(folder, models, map(change, files[: size.shifted]))
        yield pool.replaced(name, shifted, figure)


class _Pool:
    """Logged rows, from which references and windows are drawn."""

    def __init__(self, models: Path, rows, true, size: Size):
        [version] = models.glob("[0-9]*")
        self._classes = load_folder(version / "assets")
        self._rows, self._true, self._size = rows, true, size
        self._rng = np.random.default_rng(0)

    def undisturbed(self) -> timing.Comparison:
        found = [
            self._alarms(reference, self._draw(rest, self._size.requests))
            for reference, rest in self._splits()
            for _ in range(self._size.windows)
        ]
        first = next((a[0].name for a in found if a), "none")
        return self._share("no drift", ALPHA, found, {"the first": first})

    def doubled(self) -> timing.Comparison:
        found: list[Sequence[Change]] = []
        fewer: list[Sequence[Change]] = []
        shares, itself = [], []
        for wnid, inside in self._subtrees():
            reference, rest = next(self._splits())
            within, without = rest[inside[rest]], rest[~inside[rest]]
            shares.append(float(inside.mean()))
            own = (SUBTREE, wnid)
            for _ in range(self._size.windows):
                for alarms, requests in (
                    (found, self._size.requests),
                    (fewer, self._size.fewer),
                ):
                    count = round(2 * shares[-1] * requests)
                    window = self._draw(within, count)
                    window += self._draw(without, requests - count)
                    alarms.append(self._alarms(reference, window))
                itself.append(any((a.kind, a.wnid) == own for a in found[-1]))
        details = {
            "subtrees": len(shares),
            "shares": _range(shares),
            "with an alarm of the subtree itself": _part(itself),
            f"with {self._size.fewer} requests": _part(fewer),
        }
        return self._share("subtree doubled", 1.0, found, details)

    def replaced(
        self, name: str, shifted: Sequence[Row], figure: str
    ) -> timing.Comparison:
        found, fewer = [], []
        for reference, _ in self._splits():
            for own, requests in (
                (found, self._size.requests),
                (fewer, self._size.fewer),
            ):
                places = self._rng.choice(len(shifted), requests)
                window = [shifted[i] for i in places]
                alarms = self._alarms(reference, window)
                own.append([a for a in alarms if a.name == figure])
        details = {f"with {self._size.fewer} requests": _part(fewer)}
        return self._share(name, 1.0, found, details)

    def _splits(self) -> Iterator[tuple[Tally, np.ndarray]]:
        """Yields a reference, and the places of all other rows."""
        for _ in range(self._size.splits):
            order = self._rng.permutation(len(self._rows))
            third = len(order) // 3
            rows = [self._rows[i] for i in order[:third]]
            yield self._tally(rows), order[third:]

    def _subtrees(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields ids, and which scenes show something of the subtree."""
        vocabulary, hierarchy = self._classes
        inner = np.flatnonzero(~hierarchy.is_leaf)
        chosen = 0
        for c in self._rng.permutation(inner).tolist():
            below = {vocabulary[d].wnid for d in (c, *hierarchy.descendants(c))}
            inside = np.array([bool(below & true) for true in self._true])
            if _LEAST_SHARE <= inside.mean() <= _MOST_SHARE:
                yield vocabulary[c].wnid, inside
                chosen += 1
            if chosen == self._size.subtrees:
                return

    def _draw(self, places: np.ndarray, count: int) -> list[Row]:
        again = count > len(places)
        drawn = self._rng.choice(places, count, replace=again)
        return [self._rows[i] for i in drawn]

    def _alarms(self, reference: Tally, rows: list[Row]) -> Sequence[Change]:
        return compare(reference, self._tally(rows), *self._classes).alarms

    def _tally(self, rows: Sequence[Row]) -> Tally:
        tally = Tally(*self._classes)
        for row in rows:
            tally.add(row)
        return tally

    def _share(self, name, wanted, found, details) -> timing.Comparison:
        share = _part(found)
        return timing.Comparison(
            f"drift {name}",
            "windows",
            timing.exact(wanted),
            timing.exact(share),
            "alarms in",
            timing.exact(share),
            {
                "windows": len(found),
                "requests each": self._size.requests,
                **details,
            },
        )


def log_rows(folder: Path, models: Path, files) -> list[Row]:
    """Asks a server for images one by one; returns what it has logged.

    The rows are in the order of the images.
    """
    path = folder / "log" / "requests.jsonl"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    # No size at which a file is lost; the images tell which row is whose.
    log = RequestLogOptions(file=path, sample=1.0, files=1000, images=True)
    options = ServerOptions(grpc_port=0, rest_port=0, request_log=log)
    sent = list(files)
    with ExitStack() as stack:
        server = stack.enter_context(running_server(models, options))
        client = stack.enter_context(TagClient(server.grpc_address))
        pool = stack.enter_context(ThreadPoolExecutor(16))
        for _ in pool.map(lambda image: client.tag([image]), sent):
            pass
    rows = {}
    for file in log_files(path):
        for line in file.read_bytes().splitlines():
            [row] = orjson.loads(line)["images"]
            rows[row.pop("b64")] = row
    return [rows[base64.b64encode(image).decode()] for image in sent]


def _brighter(factor: float, image: bytes) -> bytes:
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    brighter = np.clip(pixels * factor, 0, 255).astype(np.uint8)
    return _jpeg(Image.fromarray(brighter), _AS_DRAWN)


def _worse(quality: int, image: bytes) -> bytes:
    return _jpeg(Image.open(io.BytesIO(image)), quality)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _part(found: Sequence[Any]) -> float:
    return sum(map(bool, found)) / max(len(found), 1)


def _range(shares: Sequence[float]) -> str:
    if not shares:
        return "none"
    return f"{min(shares):.3f} to {max(shares):.3f}"


def throughput(
    folder: Path, models: Path, size: Size
) -> Iterator[timing.Comparison]:
    """Yields images a core-second of the server with a log, and without.

    The time on the clock of 32 clients varies by more than a log takes.
    """
    [scene] = draw_unseen(folder / "one", 1, seed=0, image_size=_SIDE)
    for form, sample in itertools.product(FORMATS, (0.1, 1.0)):
        path = folder / f"log-{sample}.{form}"
        log = RequestLogOptions(path, form, sample)
        with ExitStack() as stack:
            arms: dict[str, timing.Arm] = {}
            for arm, noted in (
                (timing.BARE, RequestLogOptions()),
                (timing.OURS, log),
            ):
                options = ServerOptions(
                    grpc_port=0, rest_port=0, request_log=noted
                )
                server = stack.enter_context(running_server(models, options))
                addresses = server.grpc_address, server.rest_address
                client = stack.enter_context(
                    ClientProcess(*addresses, server.grpc_address, scene.path)
                )
                arms[arm] = functools.partial(_load, client, size.load_s)
            took = timing.interleave(arms, size.load_rounds)
        spent = np.median([t.cpu / t.count for t in took[timing.BARE]])
        line = _seconds_a_line(folder, models, scene.path.read_bytes(), form)
        details = {
            "clients": _CLIENTS,
            "bytes logged": path.stat().st_size,
            "ms of a request": 1000 * float(spent),
            "ms of a line": 1000 * line,
            "lines' part of the requests' time": sample * line / float(spent),
        }
        yield timing.compare_rates(
            f"request log, {form}, sample {sample:g}", "images", took, details
        )


def _load(client: ClientProcess, seconds: float) -> timing.Took:
    # Of this process, which is the server alone.
    cpu = time.process_time()
    rate = client.load(GRPC, _CLIENTS, seconds)
    spent = time.process_time() - cpu
    return timing.Took(rate * seconds, seconds, spent)


def _seconds_a_line(
    folder: Path, models: Path, image: bytes, form: str
) -> float:
    """Returns the CPU time of all that is done for a logged request."""
    [version] = models.glob("1")
    inputs = {contract.IMAGE_BYTES: np.array([image], object)}
    outputs = Servable(version).run(contract.TAGS, inputs)
    options = RequestLogOptions(folder / f"line.{form}", form, sample=1.0)
    times = []
    for _ in range(5):
        cpu = time.process_time()
        log = RequestLog(options)
        for _ in range(_LINES):
            entry = Entry(logs=(log,))
            entry.facts = {"model": "m", "ms": 1.0}
            entry.add_run(inputs, outputs, contract.TAGS)
            log.put(entry)
        log.close()
        times.append(time.process_time() - cpu)
        if log.counts["written"] != _LINES:
            raise RuntimeError(f"lines are missing: {log.counts}")
    return min(times) / _LINES


if __name__ == "__main__":
    main()
