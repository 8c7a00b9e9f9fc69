"""`tagforest bulk` against a bare loop over the same SavedModel.

The loop reads files, calls the signature with 32 images at a time and drops
the answers. The job also checks, writes Parquet and counts. An untrained
tagger of the demo's size; drawn images, or the photographs of a folder that
TAGFOREST_PHOTOS names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.scenes.write_scenes import draw_unseen
from model.configs import demo
from serving.api import contract
from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.inputs import cut_part, find_parts
from serving.bulk.options import BulkOptions
from serving.bulk.tag_shard import Job, tag_shard
from serving.saved_model.servable import Servable

from . import timing
from .serving import export_untrained

_ROUNDS = 6
_IMAGES, _IMAGES_SHORT = 768, 64
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


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Tags the same files by both ways, in turn."""
    images = _IMAGES_SHORT if short else _IMAGES
    (folder / "small").mkdir()
    version = export_untrained(folder / "small", demo.get_config())
    photos = _photos(folder)
    source = _links(photos, folder / "in", images)
    servable = Servable(version)
    works: dict[str, Callable[[], object]] = {
        timing.BARE: partial(_loop, servable, source),
        timing.OURS: partial(
            _shards, servable, version, source, folder / "shards"
        ),
        "job": partial(_job, version, source, folder / "job"),
    }
    arms = {name: timing.timed(work, images) for name, work in works.items()}
    took = timing.interleave(arms, 1 if short else _ROUNDS)
    details: dict[str, Any] = {
        "images": images,
        "ratio on the clock": timing.ratio(
            took[timing.OURS], took[timing.BARE], timing.WALL
        ),
    }
    for count in () if short else _MEMORY_IMAGES:
        peak = _peak(version, photos, folder, count)
        details[f"peak MB at {count} images"] = peak
    whole = {timing.BARE: took[timing.BARE], timing.OURS: took["job"]}
    return [
        timing.compare_rates("bulk", "images", took, details),
        timing.compare_rates(
            "bulk, with Beam's start and loading", "images", whole
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


def _loop(servable: Servable, source: Path) -> None:
    paths = sorted(source.iterdir())
    for start in range(0, len(paths), _BATCH):
        data = [path.read_bytes() for path in paths[start : start + _BATCH]]
        servable.run(
            contract.TAGS, {contract.IMAGE_BYTES: np.array(data, object)}
        )


def _shards(servable: Servable, version: Path, source: Path, out: Path) -> None:
    """What a worker does with all shards, without Beam."""
    shutil.rmtree(out, ignore_errors=True)
    options = BulkOptions(str(version), [str(source)], str(out))
    job = Job(options, str(version), str(out / "work"))
    for number, part in enumerate(find_parts([str(source)], 1024).parts):
        for shard in cut_part(number, part, 1024):
            tag_shard(shard, servable, job)


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
