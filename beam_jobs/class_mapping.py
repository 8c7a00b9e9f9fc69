"""Open Images classes -> WordNet synsets, every choice open to review.

The paper merges Open Images classes into ImageNet's by meaning (section 2.2)
and publishes no rule; ours, in order:

1. `override`: a row of `wordnet-overrides.csv`.
2. `lemma`: the display name is a noun in WordNet.
3. `inflected`: its base form is (NLTK's morphy: plurals).
4. `head`: the most frequent sense of the last of two words (`Wine glass`).

Among several senses the first wins that the wished classes hold, in WordNet's
order of frequency; without wished classes, the first that lies below one of
the paper's roots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_jobs import files
from beam_jobs import wordnet as wn
from beam_jobs.errors import InputError

_OVERRIDE_HEADER = ["LabelName", "WordNetId"]


@dataclass(frozen=True)
class ClassChoice:
    """What one class became.

    Attributes:
        label_name: Open Images id, `/m/0bt9lr`.
        display_name: its English name.
        wnid: the synset chosen; "" if none fits.
        rule: the rule that chose it; `none` if none did.
        alternatives: the other senses considered, best first.
    """

    label_name: str
    display_name: str
    wnid: str
    rule: str
    alternatives: tuple[str, ...] = ()


def map_classes(
    display_names: Mapping[str, str],
    overrides: Mapping[str, str],
    wanted: Callable[[str], bool] | None = None,
    wordnet=None,
) -> list[ClassChoice]:
    """Returns one choice per class, sorted by label name.

    Args:
        display_names: display name by label name.
        overrides: wnid by label name.
        wanted: tells whether a wnid is in the vocabulary; None if the
            vocabulary is yet to be built.
        wordnet: as `load_wordnet` returns it.

    Raises:
        InputError: an override names an unknown WordNet id.
    """
    wordnet = wordnet or wn.load_wordnet()
    wanted = wanted or (lambda wnid: is_visible(wnid, wordnet))
    for wnid in overrides.values():
        wn.synset_of(wnid, wordnet)
    return [
        _choose(label_name, name, overrides.get(label_name), wanted, wordnet)
        for label_name, name in sorted(display_names.items())
    ]


def _choose(label_name, name, override, wanted, wordnet) -> ClassChoice:
    if override:
        return ClassChoice(label_name, name, override, "override")
    for rule, lemma in _lemmas(name, wordnet):
        senses = [wn.wnid_of(s) for s in wordnet.synsets(lemma, pos="n")]
        # A last word alone is a weak hint: no second guess on its senses.
        allowed = senses[:1] if rule == "head" else senses
        fitting = [wnid for wnid in allowed if wanted(wnid)]
        if fitting:
            others = tuple(w for w in senses if w != fitting[0])
            return ClassChoice(label_name, name, fitting[0], rule, others)
    return ClassChoice(label_name, name, "", "none")


def _lemmas(name: str, wordnet) -> Iterator[tuple[str, str]]:
    lemma = name.lower().replace(" ", "_")
    if wordnet.lemmas(lemma, pos="n"):
        yield "lemma", lemma
    base = wordnet.morphy(lemma, pos="n")
    if base and base != lemma:
        yield "inflected", base
    words = lemma.split("_")
    if len(words) == 2 and wordnet.morphy(words[1], pos="n"):
        yield "head", words[1]


def is_visible(wnid: str, wordnet) -> bool:
    """Tells whether a synset lies at or below one of the paper's roots."""
    synset = wn.synset_of(wnid, wordnet)
    above = {wn.wnid_of(s) for s in synset.closure(wn.hypernyms_of)}
    return not above.isdisjoint(wn.PAPER_ROOTS) or wnid in wn.PAPER_ROOTS


def read_overrides(path: str | None) -> dict[str, str]:
    """Returns wnid by label name from a `LabelName,WordNetId` CSV.

    Raises:
        InputError: another header, or a malformed row (file:line).
    """
    if path is None:
        return {}
    rows = files.read_sound_csv(path)
    if not rows or rows[0][1] != _OVERRIDE_HEADER:
        raise InputError(
            f"{path}:1: the header must be {','.join(_OVERRIDE_HEADER)}"
        )
    for line, row in rows[1:]:
        if len(row) != 2 or not wn.WNID_PATTERN.fullmatch(row[1]):
            raise InputError(
                f"{path}:{line}: a label name and a WordNet id as n02084071 "
                f"are needed; received: {','.join(row)[:200]}"
            )
    return {row[0]: row[1] for _, row in rows[1:]}


def save_choices(
    choices: Iterable[ClassChoice], path: str | os.PathLike[str]
) -> None:
    """Writes the review table, tab-separated under a header."""
    rows = ["label_name\tdisplay_name\twnid\trule\talternatives"]
    rows += [
        "\t".join(
            (c.label_name, c.display_name, c.wnid, c.rule)
            + (" ".join(c.alternatives),)
        )
        for c in choices
    ]
    Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")
