"""Trainings and exports that saw a data set as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

# What `model/workdir.py` and `serving/saved_model/model_card.py` write.
_DATASET = "dataset.json"
_CARD = os.path.join("assets", "model_card.md")


def find_trainings(folder: str, fingerprints: set[str]) -> list[str]:
    """Returns the folders that record one of the fingerprints, sorted.

    Args:
        folder: looked through at any depth.
        fingerprints: of data sets, as their manifests say.
    """
    return sorted(
        place
        for place, _, files in os.walk(folder)
        if not fingerprints.isdisjoint(_recorded(place, files))
    )


def _recorded(place: str, files: list[str]) -> Iterator[str]:
    if _DATASET in files:
        with open(os.path.join(place, _DATASET), encoding="utf-8") as file:
            try:
                yield str(json.load(file)["fingerprint"])
            except (ValueError, LookupError, TypeError):
                return
    card = os.path.join(place, _CARD)
    if os.path.exists(card):
        with open(card, encoding="utf-8", errors="replace") as file:
            yield from (line.split()[-1] for line in file if line.split())
