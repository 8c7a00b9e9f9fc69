"""Which WordNet classes no picture can show, by a rule that users can edit.

The paper removed 1,989 "visually abstract" classes (event, summer, ...) and
published neither list nor criterion (section 2.2). Ours is a table of WordNet
subtrees and single classes, `abstract_classes.tsv` beside this module: what
lies under none of the paper's four roots is out, and so are subtrees under
them that name a role, a region or a substance that looks like nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from beam_jobs import wordnet as wn
from beam_jobs.errors import InputError
from beam_jobs.vocabulary import read_tsv

SHIPPED = Path(__file__).with_name("abstract_classes.tsv")
HEADER = ("wnid", "verdict", "scope", "reason", "name")
_VERDICTS = ("in", "out")
_SCOPES = ("subtree", "class")


@dataclass(frozen=True)
class AbstractRules:
    """Verdicts by wnid; True is out.

    Attributes:
        subtrees: of a class and all below it.
        classes: of one class alone.
        reasons: why, by wnid.
    """

    subtrees: Mapping[str, bool] = field(default_factory=dict)
    classes: Mapping[str, bool] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.subtrees or self.classes)


def load_rules(path: str | os.PathLike[str] | None = None) -> AbstractRules:
    """Reads a rules file.

    Args:
        path: TSV with the columns wnid, verdict (`in`, `out`), scope
            (`subtree`, `class`), reason, name. None for the shipped one, ""
            for no rules: nothing is abstract.

    Raises:
        InputError: no such file, or a malformed or repeated row (file:line).
    """
    if path == "":
        return AbstractRules()
    path = SHIPPED if path is None else path
    found: dict[str, dict[str, bool]] = {scope: {} for scope in _SCOPES}
    reasons: dict[str, str] = {}
    for line, (wnid, verdict, scope, reason, _) in read_tsv(path, HEADER):
        _check_row(wnid, verdict, scope, f"{path}:{line}")
        if wnid in found[scope]:
            raise InputError(f"{path}:{line}: {wnid} has a second {scope} rule")
        found[scope][wnid] = verdict == "out"
        reasons[wnid] = reason
    return AbstractRules(found["subtree"], found["class"], reasons)


def is_abstract(wnid: str, rules: AbstractRules, wordnet) -> bool:
    """Tells whether a class is left out.

    A rule for the class alone decides first. Else the nearest subtree rule
    upwards does, the class itself included; of two equally near ones `in`
    wins, since one visible reading is enough. Without any rule up to the top
    a class is out, unless there are no rules at all.

    Raises:
        InputError: an unknown WordNet id.
    """
    if not rules:
        return False
    if wnid in rules.classes:
        return rules.classes[wnid]
    level = {wnid: wn.synset_of(wnid, wordnet)}
    seen = set(level)
    while level:
        verdicts = [rules.subtrees[w] for w in level if w in rules.subtrees]
        if verdicts:
            return all(verdicts)
        above = {
            wn.wnid_of(s): s
            for synset in level.values()
            for s in wn.hypernyms_of(synset)
        }
        level = {w: s for w, s in above.items() if w not in seen}
        seen.update(level)
    return True


def _check_row(wnid: str, verdict: str, scope: str, place: str) -> None:
    if not wn.WNID_PATTERN.fullmatch(wnid):
        raise InputError(
            f"{place}: a WordNet id is 'n' and 8 digits, as n02084071; "
            f"received: {wnid!r}"
        )
    for column, value, allowed in (
        ("verdict", verdict, _VERDICTS),
        ("scope", scope, _SCOPES),
    ):
        if value not in allowed:
            raise InputError(
                f"{place}: {column} is one of {', '.join(allowed)}; "
                f"received: {value!r}"
            )
