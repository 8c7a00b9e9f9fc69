"""The one way to get vocabulary and hierarchy from a file or folder."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import parse_index, read_tsv

_PUBLISHED_HEADER = (
    "category_index",
    "category_id",
    "index_of_parent_category",
    "category name",
)
VOCABULARY = "vocabulary.tsv"
HIERARCHY = "hierarchy.tsv"


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


@functools.lru_cache(maxsize=4)
def read_dictionary(path: str | None) -> tuple[str, ...]:
    """Returns the WordNet ids of the published dictionary, in index order.

    Args:
        path: `dictionary_and_semantic_hierarchy.txt`; None for no classes.

    Raises:
        InputError: no such file, or a malformed line (file:line).
    """
    if path is None:
        return ()
    vocabulary, _ = load_published(path)
    return tuple(c.wnid for c in vocabulary)


def is_published(path: str | os.PathLike[str]) -> bool:
    """Tells whether a file is Tencent's dictionary, by its header."""
    if not Path(path).is_file():
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().startswith(_PUBLISHED_HEADER[0])


def load_published(
    path: str | os.PathLike[str],
) -> tuple[Vocabulary, Hierarchy]:
    """Reads Tencent's `dictionary_and_semantic_hierarchy.txt`.

    Its rows are index, WordNet id, index of the one parent or -1, names. A
    parent may come after its child (class 9741 `water` does).

    Raises:
        InputError: no such file, or a malformed line (file:line).
    """
    classes, parents = [], []
    for line, row in read_tsv(path, _PUBLISHED_HEADER):
        index = parse_index(row[0], path, line)
        parent = parse_index(row[2], path, line)
        classes.append(TagClass(index, row[1], row[3]))
        parents.append(() if parent == -1 else (parent,))
    return Vocabulary(classes), Hierarchy(parents)
