"""Ranks drawn scores in a process of bounded memory: see `bench.audit`.

    python -m tests.bench.audit_memory IMAGES CLASSES MEGABYTES

Prints JSON: seconds, the most memory, and how many findings there are.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from model.audit.ranking import NoiseRanking

_BATCH = 64
_LABELS = 3
# Drawn once, and shown from another place in every batch.
_SHIFT = 7919


def main(images: int, classes: int, megabytes: int) -> dict[str, float]:
    """Ranks so many images; memory over the limit is a MemoryError."""
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20,) * 2)
    hierarchy = _tree(classes)
    above = [
        np.array([i, *hierarchy.ancestors(i)], np.int64) for i in range(classes)
    ]
    rng = np.random.default_rng(0)
    drawn = rng.random(2 * _BATCH * classes, np.float32) ** 4
    found = NoiseRanking(hierarchy, per_class=100)
    start = time.monotonic()
    for first in range(0, images, _BATCH):
        size = min(_BATCH, images - first)
        at = first * _SHIFT % (_BATCH * classes)
        scores = drawn[at : at + size * classes].reshape(size, classes)
        labels = np.full((size, classes), -1, np.int8)
        for row, own in enumerate(rng.integers(classes, size=(size, _LABELS))):
            labels[row, np.concatenate([above[i] for i in own])] = 1
        found.add(labels, scores)
    findings = len(found.doubtful(500)) + len(found.missing(500))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "images": found.images,
        "seconds": round(time.monotonic() - start, 1),
        "megabytes": round(usage.ru_maxrss / 1024, 1),
        "findings": findings,
    }


def _tree(classes: int) -> Hierarchy:
    """A tree of 8 children each: 11,166 classes are 6 deep."""
    return Hierarchy([() if not i else ((i - 1) // 8,) for i in range(classes)])


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
