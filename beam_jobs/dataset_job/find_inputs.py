"""What a job reads: found, checked and known before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from beam_jobs.classes.class_map import ClassMap
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import is_published, load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.classes.wordnet import load_wordnet, synset_of
from beam_jobs.dataset_job.name_classes import find_class_maps, read_class_maps
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.storage import request_digest
from beam_jobs.images.find_images import list_folder
from beam_jobs.labels.pairs import Pairs
from beam_jobs.sources.find_sources import SourcePaths, Sources, find_sources


@dataclass(frozen=True)
class Inputs:
    """What was found and read before the job.

    Attributes:
        sources: what there is to read.
        request: digest of it and of the options.
        base, class_map: what the user named of the classes.
    """

    sources: Sources
    request: str
    base: tuple[Vocabulary, Hierarchy] | None
    class_map: ClassMap


def read_inputs(options: DatasetOptions) -> Inputs:
    """Finds the sources, and reads what the user named of the classes.

    Raises:
        InputError: one of them is missing, empty or malformed.
    """
    sources, request = find_inputs(options)
    base = _load_base(options, sources)
    maps = find_class_maps(options.vocabulary, options.sources)
    return Inputs(sources, request, base, read_class_maps(maps))


def find_inputs(options: DatasetOptions) -> tuple[Sources, str]:
    """Finds all sources; returns them and a digest of the whole request.

    Raises:
        InputError: a source that is missing, empty or malformed.
    """
    sources = find_sources(
        _with_dictionary(options),
        options.images.labels_only,
        keep_splits=options.splits.kept,
        boxes=options.images.boxes,
    )
    if options.splits.kept and not sources.has_splits:
        raise InputError(
            "--splits source: no source says a split: folders train/, val/, "
            "test/, a column split of a CSV, or annotation files named as "
            "instances_val2017.json are needed"
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
    described = options.request()
    if sources.image_folders:
        listed = [list_folder(f, options.out) for f in sources.image_folders]
        described["image_folders"] = [folder.digest for folder in listed]
        sources = replace(sources, listed_images=tuple(listed))
    return sources, request_digest([*sources.listing, *files], described)


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
