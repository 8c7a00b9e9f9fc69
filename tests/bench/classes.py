"""The classes of the drawn scenes, as all benchmarks use them."""

from __future__ import annotations

from pathlib import Path

from beam_jobs.classes import load_classes
from beam_jobs.classes.choose_classes import build_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.scenes.catalogue import load_catalogue


def scene_classes() -> tuple[Vocabulary, Hierarchy]:
    """Returns the catalogue's classes with their WordNet ancestors."""
    counts = {"imagenet": {c.wnid: 1 for c in load_catalogue()}}
    vocabulary, hierarchy, _ = build_classes(counts)
    return vocabulary, hierarchy


def save_classes(folder: Path) -> Path:
    """Writes vocabulary and hierarchy; returns the vocabulary's path."""
    vocabulary, hierarchy = scene_classes()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    return folder / load_classes.VOCABULARY
