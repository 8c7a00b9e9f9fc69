"""Downloads against their bare work, and against img2dataset where it is.

A server in a process of its own sends images from memory. The bare work is
a script of threads that fetch, hash, decode and write. What a short list takes
is taken off each arm: the difference is without any start-up. CPU
time is without the server's; on the clock the server takes its part.

IMG2DATASET names the executable of img2dataset. It gets as many threads as we
have requests at a time, and neither resizes nor encodes; it decodes every
image, as we do.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from beam_jobs.download.download import download
from beam_jobs.download.options import DownloadOptions

from . import timing

_FEW, _MANY = 100, 1000
_SHORT = 20, 60
_ROUNDS, _STARTS = 7, 3
_IMAGES = 64
_CONCURRENCY = 64
_IMG2DATASET = "IMG2DATASET"
_PROCESSES = (1, 2)

Arm = Callable[[Path, Path], None]


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Downloads two lists with every arm, in turn."""
    few, many = _SHORT if short else (_FEW, _MANY)
    chosen = _arms()
    with _serving(_draw(folder / "images")) as address:
        arms: dict[int, dict[str, timing.Arm]] = {}
        for size in (few, many):
            path = folder / f"{size}.txt"
            urls = (f"{address}/{number}.jpg\n" for number in range(size))
            path.write_text("".join(urls), encoding="utf-8")
            arms[size] = {
                name: timing.timed(partial(_fresh, arm, path), size)
                for name, arm in chosen.items()
            }
        # Everything is loaded and in the file system's cache after these.
        starts = {
            name: [arm() for _ in range(1 if short else _STARTS)]
            for name, arm in arms[few].items()
        }
        took = timing.interleave(arms[many], 1 if short else _ROUNDS, 0)
    between = {
        name: timing.without_start(starts[name], took[name])[0]
        for name in chosen
    }
    return [
        timing.compare_rates(
            f"download, {name}{clock}".replace(f", {timing.BARE}", ""),
            "images",
            {timing.BARE: between[name], timing.OURS: between[_partner(name)]},
            {"images": many},
            by,
        )
        for name in chosen
        if not name.startswith(timing.OURS)
        for by, clock in ((timing.CPU, ""), (timing.WALL, ", on the clock"))
    ]


def _arms() -> dict[str, Arm]:
    """Returns the arms by name."""
    arms: dict[str, Arm] = {timing.BARE: _bare, timing.OURS: _ours}
    executable = os.environ.get(_IMG2DATASET)
    if executable:
        for count in _PROCESSES:
            name = f"img2dataset x {count}"
            arms[name] = partial(_img2dataset, executable, count)
        arms[f"{timing.OURS} x 2"] = partial(_ours, workers=2)
    return arms


def _partner(name: str) -> str:
    return f"{timing.OURS} x 2" if name.endswith("x 2") else timing.OURS


def _fresh(arm: Arm, path: Path) -> None:
    out = path.with_suffix(".out")
    shutil.rmtree(out, ignore_errors=True)
    arm(path, out)
    got = sum(1 for file in out.rglob("*") if _is_jpeg(file))
    want = len(path.read_text(encoding="utf-8").splitlines())
    if got != want:
        raise RuntimeError(f"{want} images expected, {got} there")


def _is_jpeg(path: Path) -> bool:
    if not path.is_file() or path.suffix not in ("", ".jpg"):
        return False
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"


def _ours(path: Path, out: Path, workers: int = 1) -> None:
    options = DownloadOptions(
        out=str(out),
        lists=[str(path)],
        concurrency=_CONCURRENCY // workers,
        per_host_rate=0.0,
        per_host_concurrency=0,
        placeholder_copies=0,
        allow_private=True,
    )
    beam_args = ["--direct_num_workers", str(workers)]
    if workers > 1:
        beam_args += ["--direct_running_mode", "multi_processing"]
    download(options, beam_args, show_progress=False)


def _img2dataset(executable: str, count: int, path: Path, out: Path) -> None:
    urls = len(path.read_text(encoding="utf-8").splitlines())
    options = {
        "url_list": path,
        "output_folder": out,
        "processes_count": count,
        "thread_count": _CONCURRENCY // count,
        "resize_mode": "no",
        "skip_reencode": True,
        "output_format": "files",
        "number_sample_per_shard": -(-urls // (4 * count)),
        "enable_wandb": False,
    }
    command = [executable, *(f"--{k}={v}" for k, v in options.items())]
    subprocess.run(command, check=True, capture_output=True)


def _bare(path: Path, out: Path) -> None:
    out.mkdir()

    def fetch(url: str) -> None:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read()
        hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        name = hashlib.sha256(url.encode()).hexdigest()
        (out / name).write_bytes(data)

    urls = path.read_text(encoding="utf-8").splitlines()
    with ThreadPoolExecutor(_CONCURRENCY) as threads:
        list(threads.map(fetch, urls))


def _draw(folder: Path) -> Path:
    """Writes JPEGs of 500 x 375 pixels, about 100 KB each."""
    folder.mkdir()
    for seed in range(_IMAGES):
        dice = np.random.default_rng(seed)
        rough = dice.integers(0, 256, (24, 32, 3)).astype(np.uint8)
        image = Image.fromarray(rough).resize((500, 375), Image.BICUBIC)
        noise = dice.normal(0, 20, (375, 500, 3))
        pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.jpg", quality=88)
    return folder


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    script = Path(__file__).with_name("image_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
