"""`python -m tests.bench.label_audit FOLDER`: does an audit find mistakes?

Plants wrong labels and drops others (`planted_noise`), audits out of fold and
tells which part of the first findings is right. Drawn scenes by default; with
`--imagenet` the photographs of these tars. No part of `make bench`: the folds
are trainings of minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.scenes.write_scenes import write_scenes
from model.audit.audit import audit
from model.audit.options import FINDINGS, AuditOptions
from model.config import load_config
from model.workdir import CONFIG
from tests.bench.planted_noise import Truth, plant

FIRST = (100, 200, 300, 400, 500)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints, as JSON."""
    options = _parse(arguments)
    folder = options.folder
    clean = folder / "clean"
    _build(clean, _sources(folder, options))
    truth = plant(clean, folder)
    (folder / "run").mkdir()
    text = load_config(options.config).to_json()
    (folder / "run" / CONFIG).write_text(text, encoding="utf-8")
    found = AuditOptions(
        out=str(folder / "audit"), folds=options.folds, progress=False
    )
    audit(folder / "run", folder / "dataset", found)
    print(json.dumps(judge(folder / "audit" / FINDINGS, truth), indent=2))


def judge(findings: Path, truth: Truth) -> dict[str, object]:
    """Returns the right part of the first findings, by kind.

    A doubtful label is right if the image has no such class, a missing one if
    it has.

    Args:
        findings: the CSV of an audit.
        truth: of the planted data set.
    """
    right: dict[str, list[bool]] = {"doubtful": [], "missing": []}
    with open(findings, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            has = row["wnid"] in truth.labels[row["image_id"]]
            right[row["kind"]].append(has == (row["kind"] == "missing"))
    return {
        "images": len(truth.labels),
        "leaf-most labels": truth.given,
        "wrong": truth.wrong,
        "dropped": truth.dropped,
        "chance": round(truth.wrong / truth.given, 4),
        **{
            kind: {
                f"first {n}": round(float(np.mean(values[:n])), 3)
                for n in FIRST
                if n <= len(values)
            }
            for kind, values in right.items()
        },
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.label_audit")
    parser.add_argument("folder", type=Path, help="empty, for all it makes")
    parser.add_argument("--imagenet", help="folder of tars; else scenes")
    parser.add_argument("--scenes", type=int, default=6000)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--config", default="demo")
    return parser.parse_args(arguments)


def _sources(folder: Path, options: argparse.Namespace) -> dict[str, list[str]]:
    if options.imagenet:
        return {"imagenet": [options.imagenet]}
    raw = folder / "raw"
    write_scenes(
        raw,
        imagenet_images_per_class=20,
        open_images=options.scenes,
        image_size=128,
        seed=0,
    )
    return {
        "imagenet": [str(raw / "imagenet")],
        "open_images": [str(raw / "open_images")],
    }


def _build(clean: Path, sources: dict[str, list[str]]) -> None:
    given = {**sources, "validation_per_class": 0, "out": str(clean)}
    options = build_options(DatasetOptions, given)
    build_dataset(options, show_progress=False)


if __name__ == "__main__":
    main()
