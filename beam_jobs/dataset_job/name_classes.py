"""From annotated names to the classes of a data set, and what to say of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from beam_jobs.classes import load_classes as load_classes_
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.choose_classes import (
    ClassReport,
    build_classes,
    save_report,
)
from beam_jobs.classes.class_choices import (
    ClassChoice,
    OwnClasses,
    save_choices,
)
from beam_jobs.classes.class_map import (
    OVERRIDES_CSV,
    ClassMap,
    read_class_map,
    say_unused,
)
from beam_jobs.classes.class_mapping import map_classes, visible_classes
from beam_jobs.classes.hierarchy import Hierarchy, nearest
from beam_jobs.classes.hints import Hints
from beam_jobs.classes.name_lists import (
    judge_names,
    kinds_of,
    read_names,
    without_numbers,
)
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.classes.own_classes import find_synset, is_own, normalise
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.sources.find_sources import SourcePaths, Sources

Counts = Mapping[str, Mapping[str, int]]
# Sources that bring their own overrides, or no annotations.
_NOT_BESIDE = ("open_images", "images", "dictionary", "corrections")


@dataclass(frozen=True)
class ChosenClasses:
    """The classes of a data set, and how they came about.

    Attributes:
        vocabulary, hierarchy: the classes.
        choices: what each name became.
        report: what happened to each class.
        images: annotated images by class key.
        notes: what the user should know of them, a line each.
    """

    vocabulary: Vocabulary
    hierarchy: Hierarchy
    choices: Sequence[ClassChoice] = ()
    report: Sequence[ClassReport] = ()
    images: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> dict[str, int]:
        """Class index by class key."""
        ids = {
            c.wnid: self.vocabulary.index_of(c.wnid)
            for c in self.vocabulary
            if c.wnid in self.vocabulary
        }
        for choice in self.choices:
            if choice.wnid in self.vocabulary:
                ids[choice.key] = self.vocabulary.index_of(choice.wnid)
        return ids | self._parents

    @cached_property
    def _parents(self) -> dict[str, int]:
        """Index of the nearest parent by key of classes that are left out."""
        left_out = [
            c
            for c in self.choices
            if is_own(c.wnid) and c.wnid not in self.vocabulary
        ]
        if not any(c.parent for c in left_out):
            return {}
        wordnet = wn.load_wordnet()
        own = OwnClasses.of(self.choices, wordnet)
        found = {
            c.key: nearest(c.wnid, self.vocabulary, wordnet, own.parents)
            for c in left_out
        }
        # Of several, the one that says most.
        return {
            key: max(above, key=lambda i: (self.hierarchy.depth[i], -i))
            for key, above in found.items()
            if above
        }

    @property
    def by_parent(self) -> frozenset[str]:
        """Keys of classes that the vocabulary lacks, but not their parent."""
        return frozenset(self._parents)

    @property
    def inexact(self) -> frozenset[str]:
        """Keys whose class means more than they do.

        Without a dog bed there may well be a bed.
        """
        general = {c.key for c in self.choices if not c.exact}
        return frozenset(general) | self.by_parent

    def save(self, out: str) -> None:
        """Writes vocabulary, hierarchy and both reports into a data set."""
        vocabulary, hierarchy = self.vocabulary, self.hierarchy
        _save(out, load_classes_.VOCABULARY, vocabulary.save)
        _save(
            out,
            load_classes_.HIERARCHY,
            lambda path: hierarchy.save(path, vocabulary),
        )
        if self.choices:
            labels = {k: vocabulary[i].wnid for k, i in self.ids.items()}
            _save(
                out,
                dataset_folder.CLASS_CHOICES,
                lambda path: save_choices(
                    self.choices, path, labels=labels, images=self.images
                ),
            )
        if self.report:
            _save(
                out,
                dataset_folder.VOCABULARY_REPORT,
                lambda path: save_report(self.report, path),
            )


def choose(
    sources: Sources,
    options: VocabularyOptions,
    class_map: ClassMap,
    base: tuple[Vocabulary, Hierarchy] | None,
    counts: Counts,
) -> ChosenClasses:
    """Maps the names and makes the vocabulary.

    Args:
        sources: what was found.
        options: which classes.
        class_map: rows of the user's.
        base: the vocabulary given.
        counts: annotated images by class key by kind of source; empty where
            they do not matter.

    Raises:
        InputError: no class is left, or a row of the map is wrong.
    """
    grow = options.grow
    names = _display_names(sources, counts)
    annotated = {key for keys in counts.values() for key in keys}
    choices: list[ClassChoice] = []
    if names:  # WordNet takes seconds to load
        choices = map_classes(
            names,
            _hints(sources, options, class_map, base, names),
            base[0].__contains__ if base and not grow else None,
            preferred=base[0].__contains__ if base else annotated.__contains__,
        )
    images = {k: n for keys in counts.values() for k, n in keys.items()}
    notes = _notes(class_map, choices)
    if base and not grow:
        return ChosenClasses(*base, choices, images=images, notes=notes)
    if not any(counts.values()):
        raise InputError(
            "no image is left: not one annotated image can be read; look at "
            f"{sources.listing[0][0]}"
        )
    vocabulary, hierarchy, report = build_classes(counts, options, choices)
    return ChosenClasses(vocabulary, hierarchy, choices, report, images, notes)


def _notes(
    class_map: ClassMap, choices: Sequence[ClassChoice]
) -> tuple[str, ...]:
    unused = class_map.unused({c.key: c.display_name for c in choices})
    rows = len(set(class_map.places.values()))
    return (say_unused(unused, rows),) if unused else ()


def _hints(
    sources: Sources,
    options: VocabularyOptions,
    class_map: ClassMap,
    base: tuple[Vocabulary, Hierarchy] | None,
    names: Mapping[str, str],
) -> Hints:
    wordnet = wn.load_wordnet()
    visible = visible_classes(wordnet)
    # Of a name that the user gave a class nothing is to be judged.
    open_ones = {
        key: name
        for key, name in names.items()
        if class_map.row_of(key, name) is None
    }
    lists = {
        kind: judge_names(of_kind, wordnet, lambda s: visible(wn.wnid_of(s)))
        for kind, of_kind in kinds_of(open_ones).items()
        if kind != "oi"
    }
    return Hints(
        sources.overrides,
        class_map,
        _own_names(base[0], wordnet) if base else {},
        read_names(options.names) if options.names else None,
        lists,
    )


def find_class_maps(
    options: VocabularyOptions, paths: SourcePaths
) -> list[str]:
    """Returns the maps to read, the user's own last."""
    named = [
        path
        for kind, value in vars(paths).items()
        if kind not in _NOT_BESIDE
        for path in ([value] if isinstance(value, str) else value or ())
    ]
    folders = {
        folder
        for path in named
        for folder in (path.rstrip("/"), os.path.dirname(path))
    }
    beside = [storage.join(f or ".", OVERRIDES_CSV) for f in sorted(folders)]
    found = [path for path in beside if storage.exists(path)]
    own = options.class_map
    if own and not storage.exists(own):
        raise InputError(f"class map: no such file: {own}")
    return [*found, *([own] if own else [])]


def read_class_maps(paths: Sequence[str]) -> ClassMap:
    """Reads maps; rows of a later one win.

    Raises:
        InputError: a malformed one (file:line).
    """
    joined = ClassMap()
    for path in paths:
        joined = joined.joined(read_class_map(path))
    return joined


def _display_names(sources: Sources, counts: Counts) -> dict[str, str]:
    """Returns names of all class keys that are no WordNet ids."""
    names = dict(sources.display_names)
    for keys in counts.values():
        for key in keys:
            _, _, name = key.partition(":")
            if name:
                names.setdefault(key, name)
    return without_numbers(names)


def _own_names(vocabulary: Vocabulary, wordnet) -> dict[str, str]:
    """Returns ids of classes that WordNet lacks, by normalised name."""
    return {
        normalise(name): c.wnid
        for c in vocabulary.active
        if find_synset(c.wnid, wordnet) is None
        for name in (*c.name.split(", "), c.wnid.removeprefix("own:"))
    }


def _save(out: str, name: str, save) -> None:
    final = storage.join(out, name)
    temporary = storage.work_file(final)
    save(temporary)
    storage.publish(temporary, final)
