"""The data set job: raw annotations -> sharded TFRecords and a manifest.

    tagforest dataset --imagenet FOLDER --open-images FOLDER --out DATASET

Options that this job does not know go to Beam.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beam_jobs.classes.class_map import ClassMap
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import is_published, load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.classes.wordnet import load_wordnet, synset_of
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.name_classes import (
    ChosenClasses,
    Counts,
    choose,
    find_class_maps,
    read_class_maps,
)
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_output_folder
from beam_jobs.files.storage import request_digest
from beam_jobs.labels.label_rules import Augmenter
from beam_jobs.labels.pairs import Pairs
from beam_jobs.runners import progress
from beam_jobs.runners.beam_options import check_beam_args, check_reachable
from beam_jobs.sources.find_sources import (
    SourcePaths,
    Sources,
    find_sources,
    named,
)

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
) -> Manifest:
    """Builds a data set; returns its manifest, or the one already there.

    Args:
        options: what to build.
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.

    Raises:
        InputError: wrong options or sources, a full disk, or another data
            set in the way; always before the job starts.
    """
    check_output_folder(options.out)
    check_beam_args(beam_args)
    values = [value for _, value in named(options.sources)]
    check_reachable(beam_args, [options.out, *values])
    storage.use_options(beam_args)
    sources, request = find_inputs(options)
    base = _load_base(options, sources)
    class_map = _read_class_map(options)
    present = _present(options, request)
    if present is not None:
        return present
    if not options.images.labels_only:
        _check_disk(options.out, sum(size for _, size in sources.listing))
    dataset_folder.clear(options.out)
    from beam_jobs.dataset_job import pipeline

    with progress.bar("read annotations", "rows", show_progress):
        index = pipeline.read(
            sources.parts,
            options.work,
            _partitions(sources, options.images.labels_only),
            beam_args,
        )
    classes = choose(
        sources,
        options.vocabulary,
        class_map,
        base,
        _count_classes(options, sources, index, beam_args),
    )
    classes.save(options.out)
    with progress.bar("write images", "images", show_progress):
        pipeline.write(
            index,
            _context(options, classes),
            _facts(options, request, classes),
            beam_args,
        )
    storage.remove_tree(options.work)
    return Manifest.load(options.out)


def choose_classes(
    options: DatasetOptions, beam_args: Sequence[str] = ()
) -> ChosenClasses:
    """Reads the annotations alone; returns the classes they would give.

    Raises:
        InputError: as `build_dataset`.
    """
    check_beam_args(beam_args)
    storage.use_options(beam_args)
    sources, _ = find_inputs(options)
    base, class_map = _load_base(options, sources), _read_class_map(options)
    from beam_jobs.dataset_job import pipeline

    partitions = _partitions(sources, labels_only=True)
    with progress.bar("read annotations", "rows", True):
        index = pipeline.read(
            sources.parts, options.work, partitions, beam_args
        )
    counts = _count_classes(options, sources, index, beam_args)
    return choose(sources, options.vocabulary, class_map, base, counts)


def _read_class_map(options: DatasetOptions) -> ClassMap:
    return read_class_maps(find_class_maps(options.vocabulary, options.sources))


def find_inputs(options: DatasetOptions) -> tuple[Sources, str]:
    """Finds all sources; returns them and a digest of the whole request.

    Raises:
        InputError: a source that is missing, empty or malformed.
    """
    sources = find_sources(
        _with_dictionary(options), options.images.labels_only
    )
    files_named = (
        options.vocabulary.base,
        options.vocabulary.abstract_classes,
        options.vocabulary.merges,
        options.vocabulary.removals,
        options.labels.cooccurrence,
        *options.vocabulary.names,
        *find_class_maps(options.vocabulary, options.sources),
    )
    files = [
        (path, storage.size(path))
        for path in files_named
        if path and storage.exists(path)
    ]
    request = request_digest([*sources.listing, *files], options.described())
    return sources, request


def _with_dictionary(options: DatasetOptions) -> SourcePaths:
    """A published dictionary as vocabulary is one for Tencent's lists too."""
    paths, base = options.sources, options.vocabulary.base
    if paths.dictionary is None and base and is_published(base):
        return SourcePaths(**{**vars(paths), "dictionary": base})
    return paths


def _load_base(
    options: DatasetOptions, sources: Sources
) -> tuple[Vocabulary, Hierarchy] | None:
    """Reads all that the user named, so that mistakes show at once."""
    path = options.vocabulary.base
    if path is None or options.vocabulary.grow:
        wordnet = load_wordnet()
        for wnid in sources.wnids:
            synset_of(wnid, wordnet)
    base = load_classes(path) if path else None
    pairs = options.labels.cooccurrence
    if pairs and not storage.exists(pairs):
        raise InputError(
            f"no such file: {pairs}; `tagforest cooccurrence` makes one"
        )
    if pairs and base:
        Pairs.load(pairs, base[0])
    return base


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
    from beam_jobs.dataset_job.pipeline import WriteContext

    pairs = options.labels.cooccurrence
    return WriteContext(
        dataset=options.out,
        work=options.work,
        class_ids=classes.ids,
        inexact=classes.inexact,
        by_parent=classes.by_parent,
        augmenter=Augmenter(
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
    if not storage.exists(storage.join(options.out, dataset_folder.MANIFEST)):
        return None
    try:
        present = Manifest.load(options.out)
    except InputError:
        if options.overwrite:
            return None
        raise
    if present.request == request:
        return present
    if not options.overwrite:
        raise InputError(
            f"{options.out} holds a data set made from other sources or "
            "options; name another folder with --out, or give --overwrite"
        )
    return None


def _check_disk(out: str, needed: int) -> None:
    if storage.is_remote(out):
        return
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
