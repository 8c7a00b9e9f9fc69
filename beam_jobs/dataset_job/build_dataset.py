"""The data set job: raw annotations -> sharded TFRecords and a manifest.

    tagforest dataset --imagenet FOLDER --open-images FOLDER --out DATASET

Options that this job does not know go to Beam.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes as load_classes_
from beam_jobs.classes.choose_classes import (
    ClassReport,
    build_classes,
    save_report,
)
from beam_jobs.classes.class_choices import ClassChoice, save_choices
from beam_jobs.classes.class_mapping import map_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import is_published, load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.classes.wordnet import load_wordnet, synset_of
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import Manifest
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


@dataclass(frozen=True)
class _Classes:
    """The classes of a data set, and how they came about."""

    vocabulary: Vocabulary
    hierarchy: Hierarchy
    choices: Sequence[ClassChoice] = ()
    report: Sequence[ClassReport] = ()

    def inexact(self) -> frozenset[str]:
        """Returns keys whose synset means more than they do.

        Without a dog bed there may well be a bed.
        """
        return frozenset(c.key for c in self.choices if not c.exact)

    def ids(self) -> dict[str, int]:
        """Returns class index by class key."""
        ids = {
            c.wnid: self.vocabulary.index_of(c.wnid)
            for c in self.vocabulary
            if c.wnid in self.vocabulary
        }
        for choice in self.choices:
            if choice.wnid in self.vocabulary:
                ids[choice.key] = self.vocabulary.index_of(choice.wnid)
        return ids


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
    classes = _classes(options, sources, base, index, beam_args)
    _save_classes(options.out, classes)
    with progress.bar("write images", "images", show_progress):
        pipeline.write(
            index,
            _context(options, classes),
            _facts(options, request, classes),
            beam_args,
        )
    storage.remove_tree(options.work)
    return Manifest.load(options.out)


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


def _classes(
    options: DatasetOptions,
    sources: Sources,
    base: tuple[Vocabulary, Hierarchy] | None,
    index: Any,
    beam_args: Sequence[str],
) -> _Classes:
    grow = options.vocabulary.grow
    counts: dict[str, dict[str, int]] = {}
    if base is None or grow or sources.keys_hold_names:
        from beam_jobs.dataset_job import pipeline

        counts = pipeline.count_classes(
            index, options.work, options.labels.min_confidence, beam_args
        )
    names = _display_names(sources, counts)
    annotated = {key for keys in counts.values() for key in keys}
    choices: list[ClassChoice] = []
    if names:  # WordNet takes seconds to load
        choices = map_classes(
            names,
            sources.overrides,
            base[0].__contains__ if base and not grow else None,
            preferred=base[0].__contains__ if base else annotated.__contains__,
        )
    if base and not grow:
        return _Classes(*base, choices)
    if not any(counts.values()):
        raise InputError(
            "no image is left: not one annotated image can be read; look at "
            f"{sources.listing[0][0]}"
        )
    vocabulary, hierarchy, report = build_classes(
        counts, options.vocabulary, choices
    )
    return _Classes(vocabulary, hierarchy, choices, report)


def _display_names(
    sources: Sources, counts: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """Returns names of all class keys that are no WordNet ids."""
    names = dict(sources.display_names)
    for keys in counts.values():
        for key in keys:
            kind, _, name = key.partition(":")
            if name:
                names.setdefault(key, name)
    return names


def _context(options: DatasetOptions, classes: _Classes):
    from beam_jobs.dataset_job.pipeline import WriteContext

    pairs = options.labels.cooccurrence
    return WriteContext(
        dataset=options.out,
        work=options.work,
        class_ids=classes.ids(),
        inexact=classes.inexact(),
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


def _facts(options: DatasetOptions, request: str, classes: _Classes):
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


def _save_classes(out: str, classes: _Classes) -> None:
    vocabulary, hierarchy = classes.vocabulary, classes.hierarchy
    _save(storage.join(out, load_classes_.VOCABULARY), vocabulary.save)
    _save(
        storage.join(out, load_classes_.HIERARCHY),
        lambda path: hierarchy.save(path, vocabulary),
    )
    if classes.choices:
        _save(
            storage.join(out, dataset_folder.CLASS_CHOICES),
            lambda path: save_choices(classes.choices, path),
        )
    if classes.report:
        _save(
            storage.join(out, dataset_folder.VOCABULARY_REPORT),
            lambda path: save_report(classes.report, path),
        )


def _save(final: str, save: Callable[[str], None]) -> None:
    temporary = storage.work_file(final)
    save(temporary)
    storage.publish(temporary, final)
