"""Class names against the synsets that LVIS's annotators gave them.

    python -m tests.bench.lvis_names lvis_v1_val.json [--disagreements]

The file is LVIS's own (https://www.lvisdataset.org/dataset), or any JSON whose
`categories` have `name` and `synset`. The mapping sees the names alone. Even
and odd ids are shown apart: a rule learnt on one half must hold on the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from typing import NamedTuple

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_mapping import map_classes


class Outcome(NamedTuple):
    """What became of one category of LVIS."""

    name: str
    odd: bool
    rule: str
    mapped: str
    wanted: str


def measure(path: str) -> list[Outcome]:
    """Returns the outcome of every category whose synset WordNet 3.0 has."""
    with open(path, encoding="utf-8") as file:
        categories = json.load(file)["categories"]
    wordnet = wn.load_wordnet()
    wanted = {}
    for category in categories:
        synset = _synset(category["synset"], wordnet)
        wanted[f"csv:{category['id']}"] = synset
    names = {f"csv:{c['id']}": c["name"] for c in categories}
    return [
        Outcome(
            choice.display_name,
            int(choice.key.partition(":")[2]) % 2 == 1,
            choice.rule,
            choice.wnid if wn.WNID_PATTERN.fullmatch(choice.wnid) else "",
            wanted[choice.key],
        )
        for choice in map_classes(names, {}, wordnet=wordnet)
        if wanted[choice.key]
    ]


def _synset(name: str, wordnet) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return wn.wnid_of(wordnet.synset(name))
        except Exception:
            return ""


def table(outcomes: list[Outcome]) -> str:
    """Returns mapped and agreeing names by rule."""
    mapped = Counter(o.rule for o in outcomes if o.mapped)
    agree = Counter(o.rule for o in outcomes if o.mapped == o.wanted)
    rows = [
        f"  {rule:18}{mapped[rule]:6}{agree[rule]:6}"
        f"  {agree[rule] / mapped[rule]:.1%}"
        for rule in sorted(mapped)
    ]
    total, right = mapped.total(), agree.total()
    share = f"{right / total:.1%} of those mapped agree" if total else ""
    head = f"{len(outcomes)} names: {total} mapped, {right} agree; {share}"
    return "\n".join([head, *rows])


def main(arguments: list[str]) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--disagreements", action="store_true")
    given = parser.parse_args(arguments)
    outcomes = measure(given.path)
    print("all:", table(outcomes))
    for half, odd in (("even ids", False), ("odd ids", True)):
        print(f"{half}:", table([o for o in outcomes if o.odd == odd]))
    if given.disagreements:
        wordnet = wn.load_wordnet()
        for o in outcomes:
            if o.mapped and o.mapped != o.wanted:
                ours, theirs = (
                    wn.synset_of(wnid, wordnet) for wnid in (o.mapped, o.wanted)
                )
                print(f"{o.name}\t{o.rule}\t{ours.name()}\t{theirs.name()}")


if __name__ == "__main__":
    main(sys.argv[1:])
