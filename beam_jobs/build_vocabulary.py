"""Class counts -> vocabulary and hierarchy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from beam_jobs import wordnet as wn
from beam_jobs.errors import InputError
from beam_jobs.hierarchy import Hierarchy, load_published
from beam_jobs.layout import HIERARCHY
from beam_jobs.vocabulary import TagClass, Vocabulary


def load_classes(path: str) -> tuple[Vocabulary, Hierarchy]:
    """Reads the published dictionary, or a vocabulary of ours.

    A `vocabulary.tsv` brings the `hierarchy.tsv` beside it; without one the
    hierarchy comes from WordNet.

    Raises:
        InputError: no such file, or malformed (file:line).
    """
    if not Path(path).is_file():
        raise InputError(f"vocabulary: no such file: {path}")
    with open(path, encoding="utf-8", errors="replace") as file:
        published = file.readline().startswith("category_index")
    if published:
        return load_published(path)
    vocabulary = Vocabulary.load(path)
    beside = Path(path).with_name(HIERARCHY)
    if beside.is_file():
        return vocabulary, Hierarchy.load(beside, vocabulary)
    return vocabulary, Hierarchy.from_wordnet(vocabulary)


def build_classes(
    counts: Mapping[str, int], min_images: int = 1, wordnet=None
) -> tuple[Vocabulary, Hierarchy]:
    """Makes a vocabulary of annotated classes and their WordNet ancestors.

    Classes below none of the paper's four roots (visually abstract: event,
    summer, ...) are left out, and so is what lies above the roots. Parents
    come before children, equals by WordNet id: the same classes always give
    the same indices.

    Args:
        counts: annotated images by wnid.
        min_images: classes with fewer are left out (paper, section 2.2: 650
            for Open Images).
        wordnet: as `load_wordnet` returns it.

    Raises:
        InputError: an unknown WordNet id, or no class left.
    """
    wordnet = wordnet or wn.load_wordnet()
    depths: dict[str, int] = {}
    for wnid in sorted(w for w, n in counts.items() if n >= min_images):
        synset = wn.synset_of(wnid, wordnet)
        for path in synset.hypernym_paths():
            for depth, wnid_above in enumerate(_below_roots(path)):
                depths[wnid_above] = max(depth, depths.get(wnid_above, 0))
    if not depths:
        raise InputError(
            f"no class is left: {len(counts)} annotated classes, with at "
            f"least {min_images} images (--min-images) and below one of the "
            f"roots {', '.join(wn.PAPER_ROOTS)}: 0"
        )
    order = sorted(depths, key=lambda wnid: (depths[wnid], wnid))
    vocabulary = Vocabulary(
        TagClass(i, wnid, wn.names_of(wn.synset_of(wnid, wordnet)))
        for i, wnid in enumerate(order)
    )
    return vocabulary, Hierarchy.from_wordnet(vocabulary, wordnet)


def _below_roots(path) -> list[str]:
    """Returns the part of a hypernym path from a root of the paper down."""
    wnids = [wn.wnid_of(synset) for synset in path]
    for position, wnid in enumerate(wnids):
        if wnid in wn.PAPER_ROOTS:
            return wnids[position:]
    return []
