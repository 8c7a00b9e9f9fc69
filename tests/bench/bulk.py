"""`tagforest bulk` against a bare loop over the same SavedModel.

The loop reads files, calls the signature with 32 images at a time and drops
the answers. The job also checks, writes Parquet and counts. An untrained
tagger of the demo's size; drawn pictures, or the photographs of a folder that
TAGFOREST_PHOTOS names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from beam_jobs.scenes.write_scenes import draw_unseen
from model.configs import demo
from serving.api import contract
from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.options import BulkOptions
from serving.bulk.sources import cut_part, find_parts
from serving.bulk.tag_piece import Job, tag_piece
from serving.saved_model.servable import Servable

from . import timing
from .serving import export_untrained

_ROUNDS = 3
_IMAGES = 1024
_DRAWN = 64
_MEMORY_IMAGES = (1000, 4000)
_BATCH = contract.BATCH_SIZES[-1]

_MEASURE = """
import json, resource, sys
from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.options import BulkOptions
model, source, out = sys.argv[1:]
tag_in_bulk(BulkOptions(model, [source], out), show_progress=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(peak / 1024))
"""


def run(folder: Path) -> list[timing.Comparison]:
    """Tags the same files by both ways, in turn."""
    (folder / "small").mkdir()
    version = export_untrained(folder / "small", demo.get_config())
    photos = _photos(folder)
    source = _links(photos, folder / "in", _IMAGES)
    servable = Servable(version)
    arms: dict[str, Callable[[], float]] = {
        timing.BARE: lambda: _rate(lambda: _loop(servable, source)),
        timing.OURS: lambda: _rate(
            lambda: _pieces(servable, version, source, folder / "pieces")
        ),
        "job": lambda: _rate(lambda: _job(version, source, folder / "job")),
    }
    rates = timing.interleave(arms, _ROUNDS)
    peaks = {
        f"peak MB at {count} images": _peak(version, photos, folder, count)
        for count in _MEMORY_IMAGES
    }
    job = {timing.BARE: rates[timing.BARE], timing.OURS: rates["job"]}
    unit, details = "images/s", {"images": float(_IMAGES)}
    return [
        timing.compare_rates("bulk", unit, rates, details),
        timing.compare_rates(
            "bulk, with Beam's start and loading", unit, job, peaks
        ),
    ]


def _photos(folder: Path) -> list[Path]:
    named = os.environ.get("TAGFOREST_PHOTOS")
    if named:
        return sorted(Path(named).rglob("*.jpg"))
    drawn = folder / "drawn"
    drawn.mkdir()
    scenes = draw_unseen(drawn, _DRAWN, seed=0, image_size=256)
    return [scene.path for scene in scenes]


def _links(photos: list[Path], folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        link = folder / f"{number:06d}.jpg"
        link.symlink_to(photos[number % len(photos)].resolve())
    return folder


def _rate(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return _IMAGES / (time.perf_counter() - start)


def _loop(servable: Servable, source: Path) -> None:
    paths = sorted(source.iterdir())
    for start in range(0, len(paths), _BATCH):
        data = [path.read_bytes() for path in paths[start : start + _BATCH]]
        servable.run(
            contract.TAGS, {contract.IMAGE_BYTES: np.array(data, object)}
        )


def _pieces(servable: Servable, version: Path, source: Path, out: Path) -> None:
    """What a worker does with all pieces, without Beam."""
    shutil.rmtree(out, ignore_errors=True)
    options = BulkOptions(str(version), [str(source)], str(out))
    job = Job(options, str(version), str(out / "work"))
    for number, part in enumerate(find_parts([str(source)], 1024).parts):
        for piece in cut_part(number, part, 1024):
            tag_piece(piece, servable, job)


def _job(version: Path, source: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    options = BulkOptions(str(version), [str(source)], str(out))
    tag_in_bulk(options, show_progress=False)


def _peak(version: Path, photos: list[Path], folder: Path, count: int) -> float:
    """Returns the peak memory, MB, of a job in a process of its own."""
    source = _links(photos, folder / f"in-{count}", count)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE]
        + [str(version), str(source), str(folder / f"out-{count}")],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))
