"""Augmented labels: the table of ancestors against NLTK's closure, per row.

Both give the same classes and confidences, which is checked on every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beam_jobs import wordnet as wn
from beam_jobs.annotations import Annotation
from beam_jobs.augmentation import augment
from beam_jobs.records import Source
from beam_jobs.scenes.catalogue import load_catalogue
from beam_jobs.vocabulary import Vocabulary

from . import timing
from .classes import scene_classes

_ROWS = 10_000
_MOST_TAGS = 5
_MIN_CONFIDENCE = 0.7
_ROUNDS = 5

Row = tuple[Annotation, ...]


def run(folder: Path) -> list[timing.Comparison]:
    """Augments the same rows both ways."""
    vocabulary, hierarchy = scene_classes()
    wordnet = wn.load_wordnet()
    rows = draw_rows(_ROWS)

    def ours():
        return [
            augment(row, vocabulary, hierarchy, _MIN_CONFIDENCE) for row in rows
        ]

    def bare():
        return [nltk_closure(row, vocabulary, wordnet) for row in rows]

    found = [{x.index: x.confidence for x in labels} for labels, _ in ours()]
    if found != bare():
        raise RuntimeError("the two ways give different labels")
    arms = {timing.BARE: timing.timed(bare), timing.OURS: timing.timed(ours)}
    seconds = timing.interleave(arms, _ROUNDS)
    rates = {arm: [_ROWS / s for s in took] for arm, took in seconds.items()}
    labels = sum(map(len, found)) / _ROWS
    details = {"classes": len(vocabulary), "labels a row": labels}
    return [timing.compare_rates("labels", "rows/s", rates, details)]


def draw_rows(count: int) -> list[Row]:
    """Returns annotations of images: 1 to 5 classes of the scenes each."""
    rng = np.random.default_rng(0)
    wnids = [c.wnid for c in load_catalogue()]
    rows = []
    for _ in range(count):
        chosen = rng.choice(len(wnids), rng.integers(1, _MOST_TAGS + 1), False)
        # Some below the least confidence, some equal to one another.
        sure = rng.integers(6, 11, len(chosen)) / 10
        rows.append(
            tuple(
                Annotation(wnids[i], float(c), Source.OPEN_IMAGES_HUMAN)
                for i, c in zip(chosen, sure, strict=True)
            )
        )
    return rows


def nltk_closure(
    row: Sequence[Annotation], vocabulary: Vocabulary, wordnet
) -> dict[int, float]:
    """Returns confidence by class, walking WordNet up for each annotation."""
    found: dict[int, float] = {}
    for annotation in row:
        if annotation.confidence < _MIN_CONFIDENCE:
            continue
        synset = wn.synset_of(annotation.wnid, wordnet)
        for above in (synset, *synset.closure(wn.hypernyms_of)):
            wnid = wn.wnid_of(above)
            if wnid in vocabulary:
                index = vocabulary.index_of(wnid)
                known = found.get(index, 0.0)
                found[index] = max(known, annotation.confidence)
    return found
