"""The whole chain on drawn scenes, with nothing but the package registries.

Scenes -> Beam -> TFRecords -> training -> calibration -> evaluation ->
SavedModel -> tags over gRPC and REST. A later run goes on where one stopped.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from beam_jobs.classes import load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files.checks import check_output_folder
from serving.api.prediction import Prediction, Tag

_CONFIG = "demo"
_IMAGE_SIZE = 128
_IMAGES_PER_CLASS = 14
_SCENES = 4050
# Calibration needs images that neither training nor evaluation sees.
_SPLITS = {"train": 0.8, "validation": 0.1, "calibration": 0.1}
_UNSEEN = 12
_GIGABYTES_NEEDED = 1
_TAGS_SHOWN = 5
# OpenMoji's licence asks for it wherever its drawings are shown.
_CREDIT = "Images: OpenMoji (openmoji.org), CC BY-SA 4.0"


class DemoPaths(NamedTuple):
    """Where everything of a demo lies.

    Attributes:
        raw: drawn annotations and images, as the real sources look.
        models: versions of the SavedModel.
        unseen: scenes that no training has seen.
    """

    root: Path
    raw: Path
    dataset: Path
    training: Path
    models: Path
    unseen: Path
    sheet: Path


def _paths_in(root: Path) -> DemoPaths:
    return DemoPaths(
        root,
        raw=root / "raw",
        dataset=root / "dataset",
        training=root / "training",
        models=root / "models" / "tagforest",
        unseen=root / "unseen",
        sheet=root / "contact_sheet.png",
    )


def run_demo(root: Path, *, seed: int = 0, say: Callable = print) -> None:
    """Runs or continues the demo in a folder.

    Raises:
        InputError: OpenMoji is missing, or too little disk.
    """
    check_output_folder(root)
    paths = _paths_in(Path(root))
    paths.root.mkdir(parents=True, exist_ok=True)
    _check_disk(paths.root)
    started = time.monotonic()
    with _step("1/7 draw scenes", say):
        unseen = _draw(paths, seed)
    with _step("2/7 build the data set", say):
        _build(paths, say)
    with _step("3/7 train", say):
        _train(paths)
    with _step("4/7 calibrate", say):
        thresholds = _calibrate(paths, say)
    with _step("5/7 evaluate", say):
        _evaluate(paths, say)
    with _step("6/7 export", say):
        _export(paths)
    with _step("7/7 serve and tag unseen scenes", say):
        _serve_and_tag(paths, unseen, thresholds, say)
    _say_what_next(paths, time.monotonic() - started, say)


@contextmanager
def _step(title: str, say: Callable):
    say(f"\n[{title}]")
    started = time.monotonic()
    yield
    say(f"[{title}: {time.monotonic() - started:.0f} s]")


def _check_disk(root: Path) -> None:
    free = shutil.disk_usage(root).free / 1e9
    if free < _GIGABYTES_NEEDED:
        raise InputError(
            f"too little disk: the demo needs {_GIGABYTES_NEEDED} GB in "
            f"{root}, {free:.1f} GB are free"
        )


def _draw(paths: DemoPaths, seed: int) -> list[dict[str, Any]]:
    from beam_jobs.scenes.write_scenes import draw_unseen, write_scenes

    listing = paths.unseen / "scenes.json"
    if not (paths.raw / "open_images").is_dir():
        write_scenes(
            paths.raw,
            imagenet_images_per_class=_IMAGES_PER_CLASS,
            open_images=_SCENES,
            image_size=_IMAGE_SIZE,
            seed=seed,
        )
    if not listing.is_file():
        scenes = draw_unseen(
            paths.unseen, _UNSEEN, seed=seed, image_size=_IMAGE_SIZE
        )
        rows = [
            {"path": s.path.name, "wnids": s.wnids, "names": s.names}
            for s in scenes
        ]
        listing.write_text(json.dumps(rows, indent=2) + "\n")
    return json.loads(listing.read_text())


def _build(paths: DemoPaths, say: Callable) -> None:
    from beam_jobs.classes.options import VocabularyOptions
    from beam_jobs.dataset.manifest import describe
    from beam_jobs.dataset_job.build_dataset import build_dataset
    from beam_jobs.dataset_job.options import DatasetOptions, SplitOptions
    from beam_jobs.sources.find_sources import SourcePaths

    options = DatasetOptions(
        out=str(paths.dataset),
        sources=SourcePaths(
            imagenet=(str(paths.raw / "imagenet"),),
            open_images=(str(paths.raw / "open_images"),),
        ),
        # The paper's least counts and caps are for millions of images.
        vocabulary=VocabularyOptions(min_images_open_images=1),
        splits=SplitOptions(fractions=_SPLITS, validation_per_class=0),
    )
    say(describe(build_dataset(options), paths.dataset))


def _train(paths: DemoPaths) -> None:
    from model.config import load_config
    from model.training.train import train

    train(load_config(_CONFIG), paths.dataset, paths.training)


def _calibrate(paths: DemoPaths, say: Callable) -> dict[str, float]:
    """Returns every class's threshold by its WordNet id."""
    from model.scores.calibrate import calibrate
    from model.scores.cli import describe

    found = calibrate(paths.training, paths.dataset)
    say(describe(found))
    values = found.thresholds.values[:, 0].tolist()
    return {c.wnid: values[c.index] for c in _vocabulary(paths)}


def _evaluate(paths: DemoPaths, say: Callable) -> None:
    from rich.console import Console

    from model.evaluation import report_tables
    from model.evaluation.evaluate import evaluate

    evaluation = evaluate(paths.training, paths.dataset)
    Console().print(report_tables.table(evaluation))
    say(f"figures: {paths.training / 'evaluation'}")


def _export(paths: DemoPaths) -> None:
    from model.training.train import finished
    from serving.saved_model.export import export
    from serving.saved_model.reference_options import ReferenceOptions

    trained = finished(paths.training)
    marker = paths.models.parent / "exported.json"
    weights = {"weights_sha256": trained.weights_sha256 if trained else ""}
    if marker.is_file() and json.loads(marker.read_text()) == weights:
        return
    export(
        paths.training,
        paths.models,
        top_k=len(_vocabulary(paths)),
        reference=ReferenceOptions(dataset=str(paths.dataset)),
    )
    marker.write_text(json.dumps(weights) + "\n")


def _vocabulary(paths: DemoPaths) -> Vocabulary:
    return load_classes.load_vocabulary(paths.dataset)


def _serve_and_tag(
    paths: DemoPaths,
    unseen: Sequence[dict[str, Any]],
    thresholds: dict[str, float],
    say: Callable,
) -> None:
    from serving.api.server_options import ServerOptions
    from serving.client.tag_client import TagClient
    from serving.server.local_server import running_server

    files = [paths.unseen / scene["path"] for scene in unseen]
    images = [file.read_bytes() for file in files]
    options = ServerOptions(grpc_port=0, rest_port=0)
    with running_server(paths.models, options) as server:
        with TagClient(server.grpc_address, "grpc") as client:
            over_grpc = cast(list[Prediction], client.tag(images))
        with TagClient(server.rest_address, "rest") as client:
            over_rest = cast(list[Prediction], client.tag(images))
    _check_same(over_grpc, over_rest)
    say(
        f"{len(images)} scenes tagged over gRPC, and alike over REST; the "
        "probability of each class,\n* where it reaches the class's threshold:"
    )
    tags = [p.leaves().top(_TAGS_SHOWN).tags for p in over_grpc]
    for scene, found in zip(unseen, tags, strict=True):
        shown = ", ".join(map(_in_words, found))
        say(f"  {scene['path']}  {shown}   (shows {', '.join(scene['names'])})")
    _write_sheet(paths, files, tags, unseen, thresholds)


def _in_words(tag: Tag) -> str:
    return f"{tag.name} {tag.score:.2f}{'*' if tag.is_tag else ''}"


def _check_same(
    over_grpc: Sequence[Prediction], over_rest: Sequence[Prediction]
) -> None:
    for one, other in zip(over_grpc, over_rest, strict=True):
        if [t.wnid for t in one.tags[:5]] != [t.wnid for t in other.tags[:5]]:
            raise RuntimeError("gRPC and REST gave different tags")


def _write_sheet(
    paths: DemoPaths,
    files: Sequence[Path],
    tags: Sequence[Sequence[Tag]],
    unseen: Sequence[dict[str, Any]],
    thresholds: dict[str, float],
) -> None:
    from serving.demo.contact_sheet import SheetEntry, write_contact_sheet

    names = {c.wnid: c.display_name for c in _vocabulary(paths)}
    entries = [
        SheetEntry(file, found, [names[w] for w in scene["wnids"]])
        for file, found, scene in zip(files, tags, unseen, strict=True)
    ]
    write_contact_sheet(
        entries,
        paths.sheet,
        thresholds,
        title="Unseen scenes and their most probable leaf classes",
        footer=_CREDIT,
    )


def _say_what_next(paths: DemoPaths, seconds: float, say: Callable) -> None:
    say(
        f"""
Done in {seconds / 60:.1f} minutes. Everything lies in {paths.root}/:
  contact_sheet.png   look at this first
  raw/                the drawn annotations, as the real sources look
  dataset/            TFRecords, manifest.json, statistics/, dead_letters/
  training/           checkpoints, logs/, evaluation/
  models/tagforest/   the SavedModel, by version
Try next:
  tagforest serve {paths.models}
  tagforest tag {paths.unseen}/*.jpg --leaves    (in another terminal)
  tensorboard --logdir {paths.training}/logs
  tagforest dataset --imagenet YOUR_FOLDER --out YOUR_DATASET"""
    )
