"""Labels by the rules: the compiled loops against NLTK's closure, row by row.

Both give the same classes and confidences, which is checked on every row. Ours
writes the ledger as well. The classes are the 11,166 published ones with their
WordNet ancestors; where their file is absent, those of the drawn scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_published
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import Source
from beam_jobs.labels.ragged_columns import Annotations, Labels
from tests.helpers.shared_data import TENCENT_DICTIONARY

from . import timing
from .classes import scene_classes

_ROWS, _ROWS_SHORT = 10_000, 500
_MOST_TAGS = 3
_MIN_CONFIDENCE = 0.7
_ROUNDS = 9

# WordNet id and confidence of each annotation of an image.
Row = Sequence[tuple[str, float]]


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Labels the same rows both ways."""
    del folder
    count = _ROWS_SHORT if short else _ROWS
    vocabulary, hierarchy = classes()
    wordnet = wn.load_wordnet()
    annotations = draw_annotations(count, len(vocabulary))
    rows = rows_of(annotations, vocabulary)
    label_rules = LabelRules(hierarchy, min_confidence=_MIN_CONFIDENCE)

    def bare():
        return [nltk_closure(row, vocabulary, wordnet) for row in rows]

    labels = label_rules.label(annotations).labels
    if confidences_of(labels) != bare():
        raise RuntimeError("the two ways give different labels")
    arms = {
        timing.BARE: timing.timed(bare, count),
        timing.OURS: timing.repeated(
            lambda: label_rules.label(annotations), count
        ),
        "proof": timing.repeated(
            lambda: label_rules.find_unclosed(labels), count
        ),
    }
    took = timing.interleave(arms, 1 if short else _ROUNDS)
    details = {
        "classes": len(vocabulary),
        "labels a row": len(labels.ids) / count,
        "closure proof (rows/core-s)": timing.rate(took["proof"]),
    }
    return [timing.compare_rates("labels", "rows", took, details)]


def classes() -> tuple[Vocabulary, Hierarchy]:
    """Returns the published classes, or the scenes', linked by WordNet."""
    if not TENCENT_DICTIONARY.is_file():
        return scene_classes()
    vocabulary, _ = load_published(TENCENT_DICTIONARY)
    return vocabulary, Hierarchy.from_wordnet(vocabulary)


def draw_annotations(rows: int, count: int) -> Annotations:
    """Returns annotations of images: 1 to 3 of `count` classes each."""
    rng = np.random.default_rng(0)
    tags = rng.integers(1, _MOST_TAGS + 1, rows)
    values = tags.sum()
    return Annotations(
        row_splits=np.append(0, np.cumsum(tags)),
        ids=rng.integers(0, count, values).astype(np.int32),
        # Some below the least confidence, some equal to one another.
        confidences=(rng.integers(6, 11, values) / 10).astype(np.float32),
        sources=np.full(values, Source.OPEN_IMAGES_HUMAN, np.uint8),
    )


def rows_of(annotations: Annotations, vocabulary: Vocabulary) -> list[Row]:
    """Returns the positives as Python objects, as a loop by row has them."""
    least = np.float32(_MIN_CONFIDENCE)
    rows = []
    splits = annotations.row_splits
    for begin, end in zip(splits[:-1], splits[1:], strict=True):
        sure = annotations.confidences[begin:end]
        ids = annotations.ids[begin:end][sure >= least].tolist()
        wnids = [vocabulary[i].wnid for i in ids]
        rows.append(list(zip(wnids, sure[sure >= least].tolist(), strict=True)))
    return rows


def nltk_closure(row: Row, vocabulary: Vocabulary, wordnet) -> dict[int, float]:
    """Returns confidence by class, walking WordNet up for each annotation."""
    found: dict[int, float] = {}
    for wnid, confidence in row:
        synset = wn.synset_of(wnid, wordnet)
        for above in (synset, *synset.closure(wn.hypernyms_of)):
            wnid = wn.wnid_of(above)
            if wnid in vocabulary:
                index = vocabulary.index_of(wnid)
                found[index] = max(found.get(index, 0.0), confidence)
    return found


def confidences_of(labels: Labels) -> list[dict[int, float]]:
    """Returns confidence by class, of every row."""
    ids, sure = labels.ids.tolist(), labels.confidences.tolist()
    splits = labels.row_splits.tolist()
    return [
        dict(zip(ids[begin:end], sure[begin:end], strict=True))
        for begin, end in zip(splits[:-1], splits[1:], strict=True)
    ]
