"""A data set of one's own classes alone, without WordNet's.

What is detected or segmented is named by its source, and no other class comes
along. Names are given own ids, so that none is taken for another one.
"""

from __future__ import annotations

import csv
import filecmp
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from beam_jobs.classes.class_map import MAP_HEADER
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import (
    HIERARCHY,
    VOCABULARY,
    load_vocabulary,
)
from beam_jobs.classes.own_classes import own_id, plain_name
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.cli_options import build_options
from beam_jobs.dataset.dataset_folder import TRAIN
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.list_classes import ListOptions, list_classes
from beam_jobs.dataset_job.options import (
    KEEP_SPLITS,
    DatasetOptions,
)
from beam_jobs.errors import InputError
from beam_jobs.sources.find_sources import SourcePaths, find_sources
from beam_jobs.statistics.counts import load_images_per_class

_MAP = "class_map.csv"
_DRAWN = "train=0.8,validation=0.2"


def build(
    sources: SourcePaths,
    out: Path,
    *,
    splits: str | None,
    seed: int,
    boxes: bool,
    say: Callable[[str], None],
) -> Manifest:
    """Builds the data set, or returns the one that is there.

    Args:
        sources: to read.
        out: its folder.
        splits: as `tagforest dataset` takes it; None: the sources', drawn
            where they have none.
        seed: of the draw.
        boxes: keeps those of the objects.
        say: gets a line for what should be known.

    Raises:
        InputError, JobFailedError: as the data set job; or two names that
            would be one class.
    """
    if splits is None:
        found = find_sources(sources, keep_splits=True, boxes=boxes)
        splits = KEEP_SPLITS if found.has_splits else _DRAWN
    keys, folder = _keys(sources), beside(out)
    update(folder / _MAP, lambda path: _write_map(keys, path))
    given = {
        **{name: value for name, value in vars(sources).items() if value},
        "class_map": str(folder / _MAP),
        "boxes": boxes,
        "splits": splits,
        "seed": seed,
    }
    return build_of(dict(keys.values()), given, out, say)


def _keys(sources: SourcePaths) -> dict[str, tuple[str, str]]:
    """Returns id and name by class key.

    Raises:
        InputError: two names that would be one id, or one without a letter.
    """
    found: dict[str, tuple[str, str]] = {}
    names: dict[str, str] = {}
    for row in list_classes(ListOptions(sources)):
        key, name = row["key"], plain_name(row["display_name"] or row["key"])
        wnid = WNID_PATTERN.fullmatch(key)
        id_ = key if wnid else own_id(name)
        if not id_ or names.setdefault(id_, name) != name:
            raise InputError(
                f"{names.get(id_, '')!r} and {name!r} are no names of two "
                "classes: rename one in the annotations"
            )
        found[key] = id_, name
    return found


def build_of(
    names: Mapping[str, str],
    source: Mapping[str, Any],
    out: Path,
    say: Callable[[str], None],
) -> Manifest:
    """Writes the data set of a source that names classes and splits.

    Args:
        names: of the classes, by id.
        source: as options of the data set job; by default the splits are
            its own.
        out, say: see `build`, as what is raised.
    """
    ids = sorted(names)
    vocabulary = Vocabulary(TagClass(i, c, names[c]) for i, c in enumerate(ids))
    tree, folder = Hierarchy([()] * len(ids)), beside(out)
    update(folder / VOCABULARY, vocabulary.save)
    update(folder / HIERARCHY, lambda path: tree.save(path, vocabulary))
    options = build_options(
        DatasetOptions,
        {
            "splits": KEEP_SPLITS,
            # All that is held out is there to judge by.
            "validation_per_class": 0,
            "validation_max": 0,
            **source,
            "vocabulary": str(folder / VOCABULARY),
            "out": str(out),
        },
    )
    return build_dataset(options, on_note=say)


def beside(out: Path) -> Path:
    """Returns the folder of what a data set is made of; makes it."""
    folder = out.with_name(f"{out.name}-classes")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def update(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file, unless it is there like that: a newer one is another."""
    fresh = path.with_name(f"new-{path.name}")
    write(fresh)
    if path.is_file() and filecmp.cmp(path, fresh, shallow=False):
        fresh.unlink()
    else:
        fresh.replace(path)


def not_to_learn(dataset: Path) -> list[str]:
    """Returns the names of the classes without an image in train."""
    classes = load_vocabulary(dataset)
    counts = load_images_per_class(dataset, TRAIN, classes)
    return [c.name for c in classes if not counts[c.index]]


def _write_map(keys: Mapping[str, tuple[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(MAP_HEADER[:2])
        rows.writerows((key, keys[key][0]) for key in sorted(keys))
