"""The data set job: raw annotations -> sharded TFRecords and a manifest.

    tagforest dataset --imagenet FOLDER --open-images FOLDER --out DATASET

Options that this job does not know go to Beam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from beam_jobs.classes.class_choices import joined_names
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job import failures
from beam_jobs.dataset_job.disk_space import check_disk
from beam_jobs.dataset_job.find_inputs import Inputs, read_inputs
from beam_jobs.dataset_job.name_classes import (
    ChosenClasses,
    Counts,
    choose,
)
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_output_folder
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import check_output_free, hold_output
from beam_jobs.images.regions import MOST_CLASSES
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.pairs import Pairs
from beam_jobs.runners import progress
from beam_jobs.runners.beam_options import check_beam_args, check_reachable
from beam_jobs.sources.cells import LABEL_SEPARATOR
from beam_jobs.sources.corrections import say_unknown
from beam_jobs.sources.find_sources import (
    Sources,
    named,
)

# Each part of a source has a batch for each: of more it would be a few rows.
_MOST_PARTITIONS = 512
_PARTITION_IMAGES = 8192
_PARTITION_BYTES = 64 << 20
# Records without images are a hundredth of the work and of the bytes.
_PARTITION_ROWS = 65_536
_SHARD_IMAGES = 4096
_SHARD_ROWS = 65_536


def build_dataset(
    options: DatasetOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
    on_reuse: Callable[[], None] | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Builds a data set; returns its manifest, or the one already there.

    Args:
        options: what to build.
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.
        on_reuse: called where the data set is already there.
        on_note: called with what the user should know of the sources and the
            class map, a line each.

    Raises:
        InputError: wrong options or sources, a full disk, or another data
            set or job in the way; always before the job starts.
        JobFailedError: no image is left, or the disk is full.
    """
    check_output_folder(options.out)
    lock = storage.join(options.out, dataset_folder.LOCK)
    check_output_free(lock)
    check_beam_args(beam_args)
    values = [value for _, value in named(options.sources)]
    check_reachable(beam_args, [options.out, *values])
    storage.use_options(beam_args)
    inputs = read_inputs(options)
    present = _present(options, inputs.request)
    if present is None:
        check_disk(options, inputs.sources)
        with disk_errors(options.out), hold_output(lock):
            # Another job may have ended just now.
            present = _present(options, inputs.request)
            if present is None:
                # Only now: all that can be refused has been looked at.
                dataset_folder.clear(options.out)
                for note in inputs.sources.notes:
                    on_note(note)
                return _build(
                    options, inputs, beam_args, show_progress, on_note
                )
    if on_reuse is not None:
        on_reuse()
    return present


def _build(
    options: DatasetOptions,
    inputs: Inputs,
    beam_args: Sequence[str],
    show_progress: bool,
    on_note: Callable[[str], None],
) -> Manifest:
    from beam_jobs.dataset_job import pipeline

    sources = inputs.sources
    with progress.bar("read annotations", "rows", show_progress):
        index = pipeline.read(
            sources.parts,
            options.work,
            _partitions(sources, options.images.labels_only),
            beam_args,
        )
    failures.check_read(
        options.out, index.partitions, index.rejected, index.rejections
    )
    with failures.letters_kept(options.out, index.rejections):
        classes = choose(
            sources,
            options.vocabulary,
            inputs.class_map,
            inputs.base,
            _count_classes(options, sources, index, beam_args),
        )
        _check_separated(options, classes)
        _check_masks(options, classes)
    for note in classes.notes:
        on_note(note)
    named_here = options.sources.corrections
    if unknown := say_unknown(named_here, classes.vocabulary):
        on_note(unknown)
    classes.save(options.out)
    with progress.bar("write images", "images", show_progress):
        pipeline.write(
            index,
            _context(options, classes),
            _facts(options, inputs.request, classes),
            beam_args,
        )
    storage.remove_tree(options.work)
    manifest = Manifest.load(options.out)
    failures.check_left(options.out, manifest.images["out"], manifest.rejected)
    if passed_over := _passed_over(sources):
        on_note(passed_over)
    return manifest


def _check_separated(options: DatasetOptions, classes: ChosenClasses) -> None:
    """Refuses cells of a table that hold several labels, as it seems."""
    joined = joined_names(classes.choices)
    if joined and options.sources.label_separator is None:
        raise InputError(
            f"{len(joined)} of the labels consist of others, blanks between "
            f"({joined[0]!r}): correct these cells, or say what stands "
            f"between labels, {LABEL_SEPARATOR.flag} "
            + " or ".join(LABEL_SEPARATOR.choices)
        )


def _check_masks(options: DatasetOptions, classes: ChosenClasses) -> None:
    if options.sources.masks and len(classes.vocabulary) > MOST_CLASSES:
        raise InputError(
            f"masks have numbers for {MOST_CLASSES} classes, here there are "
            f"{len(classes.vocabulary)} with all that they are kinds of: name "
            "fewer with --vocabulary, or merge some with --class-map"
        )


def _passed_over(sources: Sources) -> str:
    counts = Counter(sources.passed_over)
    for folder in sources.listed_images:
        counts.update(folder.others)
    said = ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common())
    return f"files passed over: {said}" if said else ""


def choose_classes(
    options: DatasetOptions, beam_args: Sequence[str] = ()
) -> ChosenClasses:
    """Reads the annotations alone; returns the classes they would give.

    Raises:
        InputError: as `build_dataset`.
    """
    check_beam_args(beam_args)
    storage.use_options(beam_args)
    inputs = read_inputs(options)
    sources = inputs.sources
    from beam_jobs.dataset_job import pipeline

    partitions = _partitions(sources, labels_only=True)
    with progress.bar("read annotations", "rows", True):
        index = pipeline.read(
            sources.parts, options.work, partitions, beam_args
        )
    counts = _count_classes(options, sources, index, beam_args)
    return choose(
        sources, options.vocabulary, inputs.class_map, inputs.base, counts
    )


def _partitions(sources: Sources, labels_only: bool) -> int:
    """Returns how many partitions keep each a few seconds' work."""
    if labels_only:
        wanted = sources.estimated_images // _PARTITION_ROWS
        return max(1, min(wanted, _MOST_PARTITIONS))
    size = sum(size for _, size in sources.listing)
    wanted = max(
        sources.estimated_images // _PARTITION_IMAGES, size // _PARTITION_BYTES
    )
    return max(1, min(wanted, _MOST_PARTITIONS))


def _count_classes(
    options: DatasetOptions, sources: Sources, index: Any, beam_args
) -> Counts:
    """Counts the names, unless they are known and decide nothing."""
    vocabulary = options.vocabulary
    fixed = vocabulary.base and not vocabulary.grow
    if fixed and not sources.keys_hold_names:
        return {}
    from beam_jobs.dataset_job import pipeline

    return pipeline.count_classes(
        index, options.work, options.labels.min_confidence, beam_args
    )


def _context(options: DatasetOptions, classes: ChosenClasses):
    from beam_jobs.dataset_job.assemble_images import KnownClasses
    from beam_jobs.dataset_job.pipeline import WriteContext

    pairs = options.labels.cooccurrence
    return WriteContext(
        dataset=options.out,
        work=options.work,
        known=KnownClasses(classes.ids, classes.inexact, classes.by_parent),
        label_rules=LabelRules(
            classes.hierarchy,
            Pairs.load(pairs, classes.vocabulary) if pairs else None,
            min_confidence=options.labels.min_confidence,
        ),
        classes=len(classes.vocabulary),
        checks=options.images,
        splits=options.splits,
        images_per_shard=options.images_per_shard
        or (_SHARD_ROWS if options.images.labels_only else _SHARD_IMAGES),
    )


def _facts(options: DatasetOptions, request: str, classes: ChosenClasses):
    from beam_jobs.dataset_job.finish_dataset import DatasetFacts

    return DatasetFacts(
        request, options.described(), classes.vocabulary, classes.hierarchy
    )


def _present(options: DatasetOptions, request: str) -> Manifest | None:
    there = storage.exists(storage.join(options.out, dataset_folder.MANIFEST))
    if options.overwrite or not there:
        return None
    present = Manifest.load(options.out)
    if present.request != request:
        raise InputError(
            f"{options.out} holds a data set made from other sources, images "
            "(some came, went or changed) or options; name another folder "
            "with --out, or give --overwrite to build it anew"
        )
    return present
