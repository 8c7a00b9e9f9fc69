"""Which WordNet classes no image can show, by a rule that users can edit.

The paper removed 1,989 "visually abstract" classes (event, summer, ...) and
published neither list nor criterion (section 2.2). Ours is a table of WordNet
subtrees and single classes, `abstract_classes.tsv` beside this module. What
lies under none of the paper's four roots is out; so are named individuals and
subtrees under the roots that look like nothing: a molecule, a legal district,
a believer. What the published vocabulary holds nevertheless is in by a row of
its own where it is seen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.own_classes import is_own
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv

SHIPPED = Path(__file__).with_name("abstract_classes.tsv")
HEADER = ("wnid", "verdict", "scope", "reason", "name")
_VERDICTS = ("in", "out")
_SCOPES = ("subtree", "class", "instances")


@dataclass(frozen=True)
class AbstractRules:
    """Verdicts by wnid; True is out.

    Attributes:
        subtrees: of a class and all below it.
        instances: of the named individuals below a class (Paris below city).
        classes: of one class alone.
        reasons: why, by wnid.
    """

    subtrees: Mapping[str, bool] = field(default_factory=dict)
    instances: Mapping[str, bool] = field(default_factory=dict)
    classes: Mapping[str, bool] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.subtrees or self.instances or self.classes)


def load_rules(path: str | os.PathLike[str] | None = None) -> AbstractRules:
    """Reads a rules file.

    Args:
        path: TSV with the columns wnid, verdict (`in`, `out`), scope
            (`subtree`, `class`, `instances`), reason, name. None for the
            shipped one, "" for no rules: nothing is abstract.

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
    return AbstractRules(
        found["subtree"], found["instances"], found["class"], reasons
    )


def is_abstract(wnid: str, rules: AbstractRules, wordnet) -> bool:
    """Tells whether a class is left out.

    A rule for the class alone decides first; then, for a named individual,
    the nearest rule for instances upwards; then the nearest rule for a
    subtree upwards, the class itself included. Of two equally near ones `in`
    wins, since one visible reading is enough. Without any rule up to the top
    a class is out, unless there are no rules at all. A class of one's own is
    never abstract.

    Raises:
        InputError: an unknown WordNet id.
    """
    if is_own(wnid):
        # Someone named what an image shows.
        return False
    synset = wn.synset_of(wnid, wordnet)
    if not rules:
        return False
    if wnid in rules.classes:
        return rules.classes[wnid]
    verdict = None
    if synset.instance_hypernyms():
        verdict = _nearest_verdict(synset, rules.instances)
    if verdict is None:
        verdict = _nearest_verdict(synset, rules.subtrees)
    return verdict is None or verdict


def _nearest_verdict(synset, verdicts: Mapping[str, bool]) -> bool | None:
    level, seen = {synset}, {synset}
    while level:
        found = [verdicts.get(wn.wnid_of(s)) for s in level]
        decided = [out for out in found if out is not None]
        if decided:
            return all(decided)
        level = {h for s in level for h in wn.hypernyms_of(s)} - seen
        seen |= level
    return None


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
