"""The data set job: raw annotations -> sharded TFRecords and a manifest.

    tagforest dataset --imagenet FOLDER --open-images FOLDER --out DATASET

Options that this job does not know go to Beam.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from beam_jobs import layout, progress
from beam_jobs.beam_args import check_beam_args
from beam_jobs.build_vocabulary import build_classes, load_classes
from beam_jobs.checks import check_output_folder
from beam_jobs.class_mapping import ClassChoice, save_choices
from beam_jobs.errors import InputError
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.images import ImageLimits
from beam_jobs.manifest import Manifest
from beam_jobs.sources import (
    Sources,
    choose_classes,
    find_sources,
    request_digest,
)
from beam_jobs.splits import DEFAULT_FRACTIONS
from beam_jobs.vocabulary import Vocabulary
from beam_jobs.wordnet import load_wordnet, synset_of

CLASS_REVIEW = "open_images_classes.tsv"


@dataclass(frozen=True)
class DatasetOptions:
    """What to build.

    Attributes:
        out: folder of the data set.
        imagenet, open_images: source folders.
        vocabulary: the published dictionary or a vocabulary.tsv; None builds
            one from the annotated classes.
        min_images: least images of a class in a built vocabulary.
        min_confidence: least confidence of a positive, over 0 to 1.
        splits: fraction by split, adding up to 1.
        seed: of the splits.
        images_per_shard: aim; the count of shards follows from it.
        limits: which images are accepted.
        overwrite: replace a data set made from other sources or options.
    """

    out: str
    imagenet: Sequence[str] = ()
    open_images: Sequence[str] = ()
    vocabulary: str | None = None
    min_images: int = 1
    min_confidence: float = 0.7
    splits: dict[str, float] = field(
        default_factory=lambda: dict(DEFAULT_FRACTIONS)
    )
    seed: int = 0
    images_per_shard: int = 4096
    limits: ImageLimits = ImageLimits()
    overwrite: bool = False

    def __post_init__(self):
        if not 0 < self.min_confidence <= 1:
            raise InputError(
                "min_confidence must be over 0 and at most 1; received: "
                f"{self.min_confidence}"
            )
        for name in ("min_images", "images_per_shard"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1; received: "
                    f"{getattr(self, name)}"
                )

    def described(self) -> dict[str, Any]:
        """Returns what decides the content, for the manifest."""
        values = asdict(self)
        return {
            k: v for k, v in values.items() if k not in ("out", "overwrite")
        }


def build_dataset(
    options: DatasetOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
) -> Manifest:
    """Builds a data set, or returns the one that is there already.

    Args:
        options: what to build.
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.

    Returns:
        The manifest of the complete data set.

    Raises:
        InputError: wrong options or sources, a full disk, or another data
            set in the way; always before the job starts.
    """
    check_output_folder(options.out)
    check_beam_args(beam_args)
    sources = find_sources(options.imagenet, options.open_images)
    pictures = sources.pictures()
    listing = sources.listing() + pictures + _vocabulary_file(options)
    request = request_digest(listing, options.described())
    present = _present(options, request)
    if present is not None:
        return present
    _check_disk(options.out, sum(size for _, size in listing))
    vocabulary, hierarchy, choices = _classes(
        options, sources, beam_args, show_progress
    )
    _prepare_folder(options, vocabulary, hierarchy, choices)
    from beam_jobs import dataset_pipeline

    with progress.bar("dataset", "images", show_progress):
        dataset_pipeline.run(
            options=options,
            request=request,
            sources=sources,
            wnids=_chosen(choices),
            vocabulary=vocabulary,
            hierarchy=hierarchy,
            beam_args=beam_args,
        )
    return Manifest.load(options.out)


def _classes(
    options: DatasetOptions,
    sources: Sources,
    beam_args: Sequence[str],
    show_progress: bool,
) -> tuple[Vocabulary, Hierarchy, list[ClassChoice]]:
    if options.vocabulary is not None:
        vocabulary, hierarchy = load_classes(options.vocabulary)
        return vocabulary, hierarchy, choose_classes(sources, vocabulary)
    wordnet = load_wordnet()
    for wnid in sources.synsets:
        synset_of(wnid, wordnet)
    choices = choose_classes(sources, None)
    from beam_jobs import dataset_pipeline

    with (
        tempfile.TemporaryDirectory() as folder,
        progress.bar("count classes", "images", show_progress),
    ):
        counts = dataset_pipeline.count_classes(
            sources=sources,
            wnids=_chosen(choices),
            min_confidence=options.min_confidence,
            counts_path=os.path.join(folder, "counts.json"),
            beam_args=beam_args,
        )
    if not counts:
        path, _ = sources.listing()[0]
        raise InputError(
            "no image left: not one annotated image in the sources can be "
            f"read; look at {path}"
        )
    vocabulary, hierarchy = build_classes(counts, options.min_images)
    return vocabulary, hierarchy, choices


def _vocabulary_file(options: DatasetOptions) -> list[tuple[str, int]]:
    path = Path(options.vocabulary or "")
    return [(str(path), path.stat().st_size)] if path.is_file() else []


def _chosen(choices: Sequence[ClassChoice]) -> dict[str, str]:
    return {c.label_name: c.wnid for c in choices if c.wnid}


def _present(options: DatasetOptions, request: str) -> Manifest | None:
    if not Path(options.out, layout.MANIFEST).is_file():
        return None
    present = Manifest.load(options.out)
    if present.request == request:
        return present
    if not options.overwrite:
        raise InputError(
            f"{options.out} holds a data set made from other sources or "
            "options; name another folder with --out, or give --overwrite"
        )
    return None


def _check_disk(out: str, needed: int) -> None:
    folder = Path(out).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    # Records repeat the images; converted ones may grow a little.
    if needed * 1.2 > free:
        raise InputError(
            f"too little disk: about {needed * 1.2 / 1e9:.1f} GB needed in "
            f"{folder}, {free / 1e9:.1f} GB free"
        )


def _prepare_folder(
    options: DatasetOptions,
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    choices: Sequence[ClassChoice],
) -> None:
    """Clears what an earlier, unfinished job left, and writes the classes."""
    folder = Path(options.out)
    known = (*layout.SPLITS, layout.DEAD_LETTERS, layout.STATISTICS)
    (folder / layout.MANIFEST).unlink(missing_ok=True)
    for name in known:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / layout.DEAD_LETTERS).mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / layout.VOCABULARY)
    hierarchy.save(folder / layout.HIERARCHY, vocabulary)
    if choices:
        save_choices(choices, folder / CLASS_REVIEW)
