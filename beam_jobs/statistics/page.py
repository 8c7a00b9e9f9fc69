"""The statistics of a data set as one HTML page.

The page loads nothing: styles, script, figures and the table of all classes
are inside it. Class names come from outside; Jinja escapes them, the script
only ever sets them as text, and a content security policy lets no other
script run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.pages.page_templates import (
    page_template,
    page_text,
    script_hash,
)
from beam_jobs.rejections import count_images
from beam_jobs.statistics.counts import (
    STATISTICS_FILE,
    TRAINABLE_ABOVE,
    Statistics,
)
from beam_jobs.statistics.figures import (
    images_per_class,
    labels_per_image,
    save_png,
    to_svg,
)

IMAGES_PER_CLASS_PLOT = "images_per_class.png"
LABELS_PER_IMAGE_PLOT = "labels_per_image.png"
PAGE = "index.html"


_PACKAGE = "beam_jobs.statistics"
_LEAST_COVERED = 50
_MOST_LICENSES = 50


def to_json(
    splits: Mapping[str, Statistics],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int] | None = None,
    *,
    trainable_above: int = TRAINABLE_ABOVE,
) -> dict[str, Any]:
    """Returns the content of `statistics.json`.

    Args:
        splits: split name -> its statistics.
        vocabulary: the classes, in the order of the counts.
        rejected: reason -> images, rows and records rejected for it.
        trainable_above: a class is trainable with more training images.
    """
    train = splits.get(dataset_folder.TRAIN, Statistics(len(vocabulary)))
    rejected = rejected or {}
    images = sum(s.images for s in splits.values())
    images_rejected = count_images(rejected)
    return {
        "classes": len(vocabulary),
        "vocabulary": vocabulary.fingerprint,
        "images_in": images + images_rejected,
        "images": images,
        "images_rejected": images_rejected,
        "rejected": {r: int(rejected[r]) for r in sorted(rejected)},
        "rejected_total": int(sum(rejected.values())),
        "trainable_above": trainable_above,
        "trainable_classes": train.classes_above(trainable_above),
        "splits": {s: splits[s].to_json(vocabulary) for s in sorted(splits)},
    }


def write(
    splits: Mapping[str, Statistics],
    folder: str | os.PathLike[str],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int] | None = None,
    *,
    hierarchy: Hierarchy | None = None,
    trainable_above: int = TRAINABLE_ABOVE,
) -> list[Path]:
    """Writes `statistics.json`, the figures and the page; returns the paths.

    Args: as `to_json`; `folder` is made if need be. With a `hierarchy` the
        page tells the depth of every class.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = to_json(
        splits, vocabulary, rejected, trainable_above=trainable_above
    )
    paths = [
        folder / name
        for name in (
            STATISTICS_FILE,
            IMAGES_PER_CLASS_PLOT,
            LABELS_PER_IMAGE_PLOT,
            PAGE,
        )
    ]
    paths[0].write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    drawn = (
        images_per_class(splits, trainable_above=trainable_above),
        labels_per_image(splits),
    )
    for figure, path in zip(drawn, paths[1:3], strict=True):
        save_png(figure, path)
    page = render(
        splits,
        vocabulary,
        rejected or {},
        figures=drawn,
        hierarchy=hierarchy,
        trainable_above=trainable_above,
    )
    paths[3].write_text(page, encoding="utf-8")
    return paths


def render(
    splits: Mapping[str, Statistics],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int],
    *,
    figures: Iterable[Any],
    hierarchy: Hierarchy | None = None,
    trainable_above: int,
) -> str:
    """Returns the page.

    Args:
        splits: split name -> its statistics.
        vocabulary: the classes, in the order of the counts.
        rejected: reason -> images, rows and records rejected for it.
        figures: of matplotlib, shown in this order.
        hierarchy: for the depth of the classes; left out without one.
        trainable_above: a class is trainable with more training images.
    """
    ordered = _ordered(splits)
    total = Statistics(len(vocabulary))
    for _, part in ordered:
        total.merge(part)
    train = splits.get(dataset_folder.TRAIN, Statistics(len(vocabulary)))
    images_rejected = count_images(rejected)
    script = page_text(_PACKAGE, "statistics.js")
    return page_template(_PACKAGE, "statistics.html").render(
        title="Data set statistics",
        style=page_text(_PACKAGE, "statistics.css"),
        script=script,
        script_hash=script_hash(script),
        figures=[to_svg(figure) for figure in figures],
        total=total,
        images_rejected=images_rejected,
        rows_rejected=sum(rejected.values()) - images_rejected,
        classes=len(vocabulary),
        trainable=train.classes_above(trainable_above),
        trainable_above=trainable_above,
        splits=ordered,
        rules=_shares((_words(r), n) for r, n in total.labels_by_rule.items()),
        sources=_sources(total),
        rule_names=[_words(rule) for rule in Rule],
        pairs=_pairs(total, vocabulary),
        licenses=_licenses(total),
        all_licenses=len(total.licenses),
        rejections=_shares(_most_first(rejected)),
        coverage=_coverage(train, trainable_above),
        least=_least_covered(train, vocabulary),
        table=_class_table(ordered, vocabulary, hierarchy),
    )


def _ordered(
    splits: Mapping[str, Statistics],
) -> list[tuple[str, Statistics]]:
    known = [name for name in dataset_folder.SPLITS if name in splits]
    others = sorted(set(splits) - set(known))
    return [(name, splits[name]) for name in (*known, *others)]


def _words(code: Rule | Source) -> str:
    if code is Rule.CO_OCCURRENCE:
        return "co-occurrence"
    return code.name.lower().replace("_", " ")


def _shares(
    counts: Iterable[tuple[str, int]],
) -> list[tuple[str, int, float]]:
    """Returns (name, count, percent of the largest count)."""
    counts = list(counts)
    largest = max((count for _, count in counts), default=0)
    return [
        (name, count, round(100 * count / largest, 1) if largest else 0.0)
        for name, count in counts
    ]


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _sources(
    total: Statistics,
) -> list[tuple[tuple[str, int, float], list[int]]]:
    """Returns ((name, labels, percent of the largest), labels by rule)."""
    found = total.labels_by_source
    shares = _shares((_words(source), n) for source, n in found.items())
    return [
        (share, total.rule_sources[:, source].tolist())
        for share, source in zip(shares, found, strict=True)
    ]


def _pairs(total: Statistics, vocabulary: Vocabulary) -> list[tuple[Any, ...]]:
    return [(vocabulary[i], vocabulary[j], n) for i, j, n in total.top_pairs()]


def _licenses(total: Statistics) -> list[tuple[str, int, float]]:
    """Returns (licence, images, percent of the largest count).

    The last of them are the images of which none is known.
    """
    if not total.licenses:
        return []
    shown = _most_first(total.licenses)[:_MOST_LICENSES]
    unknown = total.images - sum(total.licenses.values())
    return _shares([*shown, *([("not known", unknown)] if unknown else [])])


def _coverage(
    train: Statistics, trainable_above: int
) -> list[tuple[str, int, float]]:
    """Returns (band of training images, classes, percent of the largest)."""
    edges = [0, 1, 11, trainable_above + 1]
    edges = sorted({edge for edge in edges if edge <= trainable_above + 1})
    counts = np.sort(train.images_per_class)
    starts = np.searchsorted(counts, edges)
    sizes = np.diff([*starts.tolist(), len(counts)])
    bands = [
        _band(low, high)
        for low, high in zip(edges, [*edges[1:], None], strict=True)
    ]
    return _shares(zip(bands, sizes.tolist(), strict=True))


def _band(low: int, high: int | None) -> str:
    if high is None:
        return f"more than {low - 1:,}"
    return f"{low:,}" if high == low + 1 else f"{low:,} to {high - 1:,}"


def _least_covered(
    train: Statistics, vocabulary: Vocabulary
) -> list[tuple[Any, int, int]]:
    """Returns (class, training images, annotated ones), fewest first."""
    images = train.images_per_class
    annotated = train.annotated_images_per_class
    order = np.lexsort((annotated, images))[:_LEAST_COVERED].tolist()
    return [(vocabulary[i], int(images[i]), int(annotated[i])) for i in order]


def _class_table(
    splits: Sequence[tuple[str, Statistics]],
    vocabulary: Vocabulary,
    hierarchy: Hierarchy | None,
) -> dict[str, Any]:
    """Returns heads and rows of the table that the script shows."""
    heads = ["name", "id"]
    columns: list[list[Any]] = [
        [c.name for c in vocabulary],
        [c.wnid for c in vocabulary],
    ]
    if hierarchy is not None:
        heads.append("depth")
        columns.append(hierarchy.depth.tolist())
    for name, statistics in splits:
        annotated = statistics.annotated_images_per_class
        heads += [f"{name}, annotated", f"{name}, derived"]
        columns.append(annotated.tolist())
        columns.append((statistics.images_per_class - annotated).tolist())
    return {"heads": heads, "rows": list(zip(*columns, strict=True))}
