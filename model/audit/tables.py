"""The findings as files: CSV, Label Studio's tasks, and counts.

`findings.csv` and what Label Studio exports of `tasks.json` are read by
`--corrections` of `tagforest dataset` and `tagforest relabel`.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.files import storage
from beam_jobs.labels.ledger import Rule, Source, rules_of, sources_of
from beam_jobs.sources.corrections import CHOICE, VERDICTS
from model.audit.findings import DOUBTFUL, MISSING, Finding
from model.audit.options import FINDINGS
from model.audit.ranking import NoiseRanking

PICTURES = "pictures"
TASKS, LABELLING = "tasks.json", "labelling.xml"
COUNTS = "audit.json"
_COLUMNS = (
    *("rank", "kind", "image_id", "wnid", "name", "score", "threshold"),
    *("rule", "source", "follows", "still_there", "instead", "picture"),
    "verdict",
)


@dataclass(frozen=True)
class Row:
    """Labels of a class, a rule or a source: looked at, and found."""

    name: str
    labels: int
    doubtful: int
    missing: int = 0


@dataclass(frozen=True)
class Counts:
    """Leaf-most labels, and findings among them.

    Attributes:
        classes: those with findings, most first.
        rules, sources: of the ledger; missing labels have none.
    """

    classes: list[Row]
    rules: list[Row]
    sources: list[Row]


def count(
    found: Iterable[Finding], ranking: NoiseRanking, vocabulary: Vocabulary
) -> Counts:
    """Counts findings beside the labels that were looked at."""
    found = list(found)
    doubtful = [f for f in found if f.kind == DOUBTFUL]
    by_class = Counter(f.wnid for f in doubtful)
    missing = Counter(f.wnid for f in found if f.kind == MISSING)
    classes = [
        Row(
            c.wnid,
            int(ranking.given[c.index]),
            by_class[c.wnid],
            missing[c.wnid],
        )
        for c in vocabulary
        if by_class[c.wnid] or missing[c.wnid]
    ]
    classes.sort(key=lambda row: (-row.doubtful - row.missing, row.name))
    rules, sources = Counter[str](), Counter[str]()
    for code in ranking.given_by_code.nonzero()[0].tolist():
        labels = int(ranking.given_by_code[code])
        rules[Rule(rules_of(code)).name.lower()] += labels
        sources[Source(sources_of(code)).name.lower()] += labels
    return Counts(
        classes,
        _rows(rules, Counter(f.rule for f in doubtful)),
        _rows(sources, Counter(f.source for f in doubtful)),
    )


def _rows(labels: Mapping[str, int], found: Mapping[str, int]) -> list[Row]:
    return [Row(name, labels[name], found[name]) for name in sorted(labels)]


def save(
    out: Path,
    found: Sequence[Finding],
    counts: Counts,
    vocabulary: Vocabulary,
) -> list[Path]:
    """Writes all tables into a folder; returns their paths.

    The findings come last: with them the audit is done.
    """
    texts = {
        COUNTS: json.dumps(asdict(counts), indent=2) + "\n",
        TASKS: json.dumps(tasks(found, vocabulary), indent=1) + "\n",
        LABELLING: labelling_config(),
        FINDINGS: to_csv(found),
    }
    for name, text in texts.items():
        storage.write_text(str(out / name), text)
    return [out / name for name in reversed(texts)]


def to_csv(found: Iterable[Finding]) -> str:
    """Returns rows without a verdict: somebody writes it."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for finding in found:
        values = asdict(finding) | {"verdict": ""}
        values["picture"] = f"{PICTURES}/{finding.picture}"
        table.writerow(_cell(values[name]) for name in _COLUMNS)
    return text.getvalue()


def _cell(value: Any) -> Any:
    text = " ".join(value) if isinstance(value, tuple) else value
    # A spreadsheet would run it.
    risky = isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t")
    return f"'{text}" if risky else text


def tasks(
    found: Iterable[Finding], vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    """Returns Label Studio's tasks, one a finding, for `labelling_config`.

    Format: https://labelstud.io/guide/tasks#Basic-Label-Studio-JSON-format.
    """
    made = []
    for finding in found:
        names = [
            vocabulary[vocabulary.index_of(w)].display_name
            for w in (finding.wnid, *finding.follows)
        ]
        given = finding.kind == DOUBTFUL
        what = "It has this label" if given else "It lacks this label"
        data = {
            "image": f"/data/local-files/?d={PICTURES}/{finding.picture}",
            "image_id": finding.image_id,
            "wnid": finding.wnid,
            "kind": finding.kind,
            "rank": finding.rank,
            "question": f"Is there: {names[0]}? {what}, score "
            f"{finding.score:.3f}, usual {finding.threshold:.3f}. "
            f"With it: {', '.join(names[1:]) or 'nothing'}.",
        }
        made.append({"data": data})
    return made


def labelling_config() -> str:
    """Returns the labelling interface that the tasks are for."""
    choices = "".join(f"    <Choice value={quoteattr(v)}/>\n" for v in VERDICTS)
    return (
        "<View>\n"
        '  <Header value="$question"/>\n'
        '  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{CHOICE}" toName="image" choice="single">\n'
        f"{choices}"
        "  </Choices>\n"
        "</View>\n"
    )
