"""Class counts -> vocabulary, hierarchy and a report of every decision."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from beam_jobs.classes import abstract_classes, growth
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_choices import ClassChoice, OwnClasses
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import (
    load_classes,
)
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.classes.own_classes import find_synset, is_own, name_of
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError

OPEN_IMAGES = "open_images"
_REPORT_HEADER = ("key", "wnid", "what", "images", "detail", "name")


@dataclass(frozen=True)
class ClassReport:
    """What happened to a class.

    Attributes:
        key: as the source spells it; the wnid where sources agreed on one.
        wnid: "" if none was found.
        what: `added`, `finer` (added below another annotated class),
            `ancestor` (added above one), `merged` (with other keys, or by
            the merges), `removed`; or why it was left out: `unmapped`,
            `abstract`, `too_few_images`, `not_in_base`.
        images: annotated images.
        detail: with which class, or which limit.
    """

    key: str
    wnid: str
    what: str
    images: int
    detail: str = ""


@dataclass
class _Counted:
    """Annotated images of one synset."""

    images: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return self.images.total()


def build_classes(
    counts: Mapping[str, Mapping[str, int]],
    options: VocabularyOptions | None = None,
    choices: Iterable[ClassChoice] = (),
    wordnet=None,
) -> tuple[Vocabulary, Hierarchy, list[ClassReport]]:
    """Makes the vocabulary of annotated classes.

    Without a base it holds them and their WordNet ancestors, but for the
    abstract ones. Parents come before children, equals by WordNet id: the
    same classes always give the same indices. A base is used as it is, or
    grows by the annotated classes that it lacks, their own parents and, where
    none of the ancestors of such a class is in it, by those.

    Args:
        counts: annotated images by class key by kind of source (`imagenet`,
            `open_images`, ...). A key is a WordNet id or one of the choices'.
        options: which classes to keep.
        choices: what `map_classes` found.
        wordnet: as `load_wordnet` returns it.

    Raises:
        InputError: an unknown WordNet id, no class left, or a malformed file.
    """
    options = options or VocabularyOptions()
    choices = list(choices)
    wordnet = wordnet or wn.load_wordnet()
    rules = abstract_classes.load_rules(options.abstract_classes)
    merges = growth.read_merges(options.merges)
    removals = growth.read_removals(options.removals)
    base = load_classes(options.base) if options.base else None
    known = base[0] if base else None
    counted, report = _by_synset(counts, choices, wordnet, known)
    report += _merge_counts(counted, merges)
    kept, dropped = _chosen(counted, options, rules, base, wordnet)
    report += dropped
    if base is None and not kept:
        raise InputError(_nothing_left(counts, options, report))
    own = OwnClasses.of(choices, wordnet)
    vocabulary, hierarchy, added = _assemble(base, kept, rules, wordnet, own)
    report += added
    if merges or removals:
        vocabulary = growth.grow(
            vocabulary, _sources(merges, vocabulary, wordnet), removals, merges
        )
        hierarchy = hierarchy.grown(vocabulary, wordnet, own.parents)
        report += _removed(counted, removals)
    return vocabulary, hierarchy, sorted(report, key=_report_order)


def _chosen(
    counted: Mapping[str, _Counted],
    options: VocabularyOptions,
    rules: abstract_classes.AbstractRules,
    base: tuple[Vocabulary, Hierarchy] | None,
    wordnet,
) -> tuple[dict[str, _Counted], list[ClassReport]]:
    """Returns the classes that are new to the base, and what is left out."""
    if base and not options.grow:
        return {}, _missing(counted, base[0])
    return _filter(counted, options, rules, base, wordnet)


def _removed(
    counted: Mapping[str, _Counted], removals: Iterable[str]
) -> list[ClassReport]:
    return [ClassReport(w, w, "removed", _images(counted, w)) for w in removals]


def _by_synset(
    counts: Mapping[str, Mapping[str, int]],
    choices: Iterable[ClassChoice],
    wordnet,
    base: Vocabulary | None,
) -> tuple[dict[str, _Counted], list[ClassReport]]:
    wnids = {choice.key: choice.wnid for choice in choices}
    counted: dict[str, _Counted] = {}
    unmapped: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for kind, of_kind in sorted(counts.items()):
        for key, number in sorted(of_kind.items()):
            wnid = wnids.get(key, key if wn.WNID_PATTERN.fullmatch(key) else "")
            if not wnid:
                unmapped[key] += number
                continue
            if wnid not in counted and not (
                is_own(wnid) or (base and wnid in base)
            ):
                wn.synset_of(wnid, wordnet)
            found = counted.setdefault(wnid, _Counted())
            found.images[kind] += number
            found.keys.add(key)
            images[key] += number
    report = [ClassReport(k, "", "unmapped", n) for k, n in unmapped.items()]
    for wnid, found in counted.items():
        report += [
            ClassReport(
                key,
                wnid,
                "merged",
                images[key],
                " ".join(sorted(found.keys - {key})),
            )
            for key in found.keys - {wnid}
            if len(found.keys) > 1
        ]
    return counted, report


def _merge_counts(
    counted: dict[str, _Counted], merges: Mapping[str, str]
) -> list[ClassReport]:
    """Counts what was annotated as a merged class for its target."""
    report = []
    for wnid in sorted(merges):
        found = counted.pop(wnid, _Counted())
        target = growth.target_of(wnid, merges)
        counted.setdefault(target, _Counted()).images.update(found.images)
        report.append(ClassReport(wnid, wnid, "merged", found.total, target))
    return report


def _missing(
    counted: Mapping[str, _Counted], vocabulary: Vocabulary
) -> list[ClassReport]:
    return [
        ClassReport(wnid, wnid, "not_in_base", found.total)
        for wnid, found in counted.items()
        if wnid not in vocabulary
    ]


def _filter(
    counted: Mapping[str, _Counted],
    options: VocabularyOptions,
    rules: abstract_classes.AbstractRules,
    base: tuple[Vocabulary, Hierarchy] | None,
    wordnet,
) -> tuple[dict[str, _Counted], list[ClassReport]]:
    """Splits the annotated classes into kept and dropped ones."""
    kept: dict[str, _Counted] = {}
    dropped = []
    for wnid, found in sorted(counted.items()):
        if base is not None and wnid in base[0]:
            continue
        only_open_images = set(found.images) <= {OPEN_IMAGES}
        least = options.min_images
        if only_open_images:
            least = max(least, options.min_images_open_images)
        if abstract_classes.is_abstract(wnid, rules, wordnet):
            dropped.append(ClassReport(wnid, wnid, "abstract", found.total))
        elif found.total < least:
            dropped.append(
                ClassReport(
                    wnid, wnid, "too_few_images", found.total, f"under {least}"
                )
            )
        else:
            kept[wnid] = found
    return kept, dropped


def _assemble(
    base: tuple[Vocabulary, Hierarchy] | None,
    kept: Mapping[str, _Counted],
    rules: abstract_classes.AbstractRules,
    wordnet,
    own: OwnClasses,
) -> tuple[Vocabulary, Hierarchy, list[ClassReport]]:
    depths: dict[str, int] = {}
    for wnid in kept:
        paths = _paths(wnid, rules, wordnet, own)
        if base and any(w in base[0] for path in paths for w in path):
            # Parents of one's own are asked for, WordNet's are not.
            paths = [[w for w in p if w == wnid or is_own(w)] for p in paths]
        for path in paths:
            for depth, above in enumerate(path):
                depths[above] = max(depth, depths.get(above, 0))
    order = sorted(depths, key=lambda wnid: (depths[wnid], wnid))
    if base is None:
        vocabulary = Vocabulary(
            TagClass(i, wnid, own.name_of(wnid, wordnet))
            for i, wnid in enumerate(order)
        )
        hierarchy = Hierarchy.from_wordnet(vocabulary, wordnet, own.parents)
    else:
        order = [wnid for wnid in order if wnid not in base[0]]
        names = {w: own.name_of(w, wordnet) for w in order}
        vocabulary = growth.grow(base[0], names)
        hierarchy = base[1].grown(vocabulary, wordnet, own.parents)
    return vocabulary, hierarchy, _added(order, kept, vocabulary, hierarchy)


def _added(
    order: Iterable[str],
    kept: Mapping[str, _Counted],
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
) -> list[ClassReport]:
    new = set(order)
    report = []
    for wnid in order:
        above = [
            vocabulary[i].wnid
            for i in hierarchy.ancestors(vocabulary.index_of(wnid))
        ]
        # A class of the base is taken for an annotated one.
        finer = sorted(w for w in above if w in kept or w not in new)
        what = "finer" if finer else "added"
        images = kept[wnid].total if wnid in kept else 0
        if wnid not in kept:
            what, finer = "ancestor", []
        report.append(ClassReport(wnid, wnid, what, images, " ".join(finer)))
    return report


def _paths(
    wnid: str,
    rules: abstract_classes.AbstractRules,
    wordnet,
    own: OwnClasses,
) -> list[list[str]]:
    """Returns the hypernym paths down to a class, abstract classes left out."""
    synset = find_synset(wnid, wordnet)
    if synset is None:
        parent = own.parents.get(wnid, "")
        above = _paths(parent, rules, wordnet, own) if parent else [[]]
        return [[*path, wnid] for path in above]
    paths = [[wn.wnid_of(s) for s in p] for p in synset.hypernym_paths()]
    abstract = {
        w
        for w in {w for path in paths for w in path}
        if abstract_classes.is_abstract(w, rules, wordnet)
    }
    return [[w for w in path if w not in abstract] for path in paths]


def _sources(
    merges: Mapping[str, str], vocabulary: Vocabulary, wordnet
) -> dict[str, str]:
    """Returns names of merged classes and targets that still lack an index.

    Without one their annotations would not be known as the target's.
    """
    wnids = sorted({*merges, *merges.values()})
    have = {c.wnid for c in vocabulary}
    return {w: name_of(w, wordnet) for w in wnids if w not in have}


def _images(counted: Mapping[str, _Counted], wnid: str) -> int:
    return counted[wnid].total if wnid in counted else 0


def _nothing_left(
    counts: Mapping[str, Mapping[str, int]],
    options: VocabularyOptions,
    report: Iterable[ClassReport],
) -> str:
    why = Counter(row.what for row in report)
    keys = {key for of_kind in counts.values() for key in of_kind}
    return (
        f"no class is left: {len(keys)} annotated classes, of which "
        f"{why['unmapped']} have no WordNet class, {why['abstract']} are "
        f"visually abstract and {why['too_few_images']} have too few images "
        f"(--min-images {options.min_images}, for classes of Open Images "
        f"alone --min-images-open-images {options.min_images_open_images})"
    )


def _report_order(row: ClassReport) -> tuple[str, str, str]:
    return row.what, row.wnid, row.key


def save_report(
    report: Iterable[ClassReport],
    path: str | os.PathLike[str],
    wordnet=None,
) -> None:
    """Writes the report, tab-separated under a header."""
    wordnet = wordnet or wn.load_wordnet()
    rows = ["\t".join(_REPORT_HEADER)]
    for r in report:
        name = name_of(r.wnid, wordnet) if r.wnid else ""
        fields = (
            " ".join(r.key.split()),
            r.wnid,
            r.what,
            str(r.images),
            r.detail,
            name,
        )
        rows.append("\t".join(fields))
    Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")
