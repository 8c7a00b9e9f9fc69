"""The one way to get vocabulary and hierarchy from a file or folder."""

from __future__ import annotations

import functools
import os

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
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
    check_file(path, "vocabulary")
    if is_published(path):
        return load_published(path)
    vocabulary = Vocabulary.load(path)
    beside = storage.join(os.path.dirname(path), HIERARCHY)
    if storage.exists(beside):
        return vocabulary, Hierarchy.load(beside, vocabulary)
    return vocabulary, Hierarchy.from_wordnet(vocabulary)


def load_folder(
    folder: str | os.PathLike[str],
) -> tuple[Vocabulary, Hierarchy]:
    """Reads the classes of a data set, a training or an export.

    Raises:
        InputError: one of the two files is missing or malformed (file:line).
    """
    vocabulary = load_vocabulary(folder)
    path = storage.join(folder, HIERARCHY)
    return vocabulary, Hierarchy.load(path, vocabulary)


def load_vocabulary(folder: str | os.PathLike[str]) -> Vocabulary:
    """Reads the vocabulary alone; raises as `load_folder`."""
    return Vocabulary.load(storage.join(folder, VOCABULARY))


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
    if not storage.exists(path) or os.path.isdir(path):
        return False
    start = _PUBLISHED_HEADER[0].encode()
    with storage.open_read(path) as file:
        return file.read(len(start)) == start


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
