"""Goes on from a tagger to one class an image (paper, section 4.1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import Manifest, describe
from beam_jobs.errors import InputError
from model.config import Config, ScheduleConfig, StartConfig, override
from model.start import sources
from model.training import train as train_
from model.training.options import TrainOptions
from model.transfer import (
    class_folders,
    class_tars,
    flat_classes,
    other_size,
    recipes,
)
from model.transfer.options import ClassifyOptions

DATASET = "dataset"
# Small data sets want many steps.
_BATCH = 64


@dataclass(frozen=True)
class Classified:
    """What came of it.

    Attributes:
        runs: workdirs, one an image size, and one more where it is seen at
            another than it was trained at; the last is the classifier.
        dataset: folder of the data set.
        top_1, top_5, mean_per_class: see `classification`.
        images: that were judged.
        files: figures and plot.
    """

    runs: tuple[Path, ...]
    dataset: Path
    top_1: float
    top_5: float
    mean_per_class: float
    images: int
    files: tuple[Path, ...]


def classify(
    options: ClassifyOptions,
    workdir: str | os.PathLike[str],
    source: str | None,
    config: Config | None = None,
    changes: Sequence[str] = (),
    train_options: TrainOptions | None = None,
) -> Classified:
    """Builds a data set, trains a classifier on it and judges it.

    Each part is there already where an earlier call has finished it.

    Args:
        workdir: for the data set, and a run for each image size.
        source: what to start from, see `model.start.sources`; None: random
            weights.
        config: network and data; by default those of the source.
        changes: of fields, as `override` takes them.
        train_options: processes, restarts.

    Raises:
        InputError: no such source or images; see `train` and `list_images`.
        JobFailedError: no image can be read.
    """
    workdir = Path(workdir)
    config = _config(source, config, options, changes)
    sizes = options.image_sizes or (config.data.image_size,)
    # What is wrong with a change is said before the data set is built.
    start = StartConfig(source=source, take="backbone")
    made = _of_size(config, sizes[0], start, options.recipe, _BATCH)
    override(made, changes)
    dataset = workdir / DATASET
    manifest = _build(options, dataset)
    print(describe(manifest, str(dataset)))
    images = manifest.splits[dataset_folder.TRAIN]["images"]
    _check_learned(dataset)
    runs: list[Path] = []
    for size in sizes:
        runs.append(workdir / f"size-{size}")
        start = StartConfig(source=source, take="backbone")
        if len(runs) > 1:
            # The classes are the same, and go on.
            start = StartConfig(source=str(runs[-2]))
        made = _of_size(config, size, start, options.recipe, images)
        train_.train(override(made, changes), dataset, runs[-1], train_options)
    if test_size := _test_size(options, sizes[-1]):
        runs.append(other_size.at_size(runs[-1], test_size))
    return _judge(runs, dataset, options.crops)


def _test_size(options: ClassifyOptions, trained: int) -> int | None:
    part = recipes.TEST_SIZES.get(options.recipe)
    if options.test_size is not None or part is None or options.crops != 1:
        return options.test_size
    return round(trained * part)


def _build(options: ClassifyOptions, dataset: Path) -> Manifest:
    if class_tars.has_tars(options):
        return class_tars.build(options, dataset, print)
    listing = class_folders.list_images(options)
    for folder in listing.left_out:
        print(f"{folder} is left out: it is no class")
    return class_folders.build(listing, dataset, print)


def _check_learned(dataset: Path) -> None:
    """Checks that each class has a sound image to learn of."""
    if names := flat_classes.not_to_learn(dataset):
        raise InputError(
            f"no image to learn of could be read of {len(names)} classes: "
            f"{', '.join(names[:5])}; see {dataset}/dead_letters"
        )


def _config(
    source: str | None,
    config: Config | None,
    options: ClassifyOptions,
    changes: Sequence[str],
) -> Config:
    config = replace(
        sources.config_of(source, config),
        name="classify",
        seed=options.seed,
        schedule=ScheduleConfig(batch_size=_BATCH),
    )
    # A recipe goes by it.
    first = [c for c in changes if c.startswith("schedule.batch_size=")]
    return override(config, first)


def _of_size(
    config: Config, size: int, start: StartConfig, recipe: str, images: int
) -> Config:
    made = replace(
        config,
        data=replace(config.data, image_size=size),
        start=start,
    )
    if images < made.schedule.batch_size:
        schedule = replace(made.schedule, batch_size=images)
        made = replace(made, schedule=schedule)
    return recipes.apply(recipe, made, images)


def _judge(runs: list[Path], dataset: Path, crops: int) -> Classified:
    from model.network.load_tagger import load_tagger
    from model.transfer import classification

    found = classification.judge(load_tagger(runs[-1]), dataset, crops=crops)
    vocabulary = load_vocabulary(runs[-1])
    written = classification.save(found, vocabulary, runs[-1])
    return Classified(
        runs=tuple(runs),
        dataset=dataset,
        top_1=found.top_1,
        top_5=found.top_5,
        mean_per_class=found.mean_per_class,
        images=found.images,
        files=tuple(written),
    )
