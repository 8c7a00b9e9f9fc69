import csv
import io
from types import SimpleNamespace

import numpy as np

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.labels.ledger import Rule, Source, ledger_codes
from model.audit import tables
from model.audit.findings import Finding

ANIMAL, DOG, CAT = "n00015388", "n02084071", "n02121620"
VOCABULARY = Vocabulary(
    [
        TagClass(0, ANIMAL, "animal, beast"),
        TagClass(1, DOG, "=dog"),
        TagClass(2, CAT, "cat"),
    ]
)


def finding(kind="doubtful", wnid=DOG, **more):
    values = {
        "rank": 1,
        "kind": kind,
        "image_id": "csv/a, b.jpg",
        "wnid": wnid,
        "name": "=dog",
        "score": 0.125,
        "threshold": 0.5,
        "rule": "annotated",
        "source": "csv",
        "follows": (ANIMAL,),
        "still_there": (),
        "instead": CAT,
        "picture": "00-00000001.jpg",
    }
    return Finding(**values | more)


FOUND = [
    finding(),
    finding(rank=2, image_id="csv/c"),
    finding("missing", CAT, rule="", source="", instead=""),
]


def test_counts_add_up_by_class_rule_and_source():
    by_code = np.zeros(200, np.int64)
    by_code[int(ledger_codes(int(Rule.ANNOTATED), int(Source.CSV)))] = 7
    by_code[int(ledger_codes(int(Rule.PARENT), int(Source.CORRECTIONS)))] = 2
    ranking = SimpleNamespace(given=np.array([0, 5, 4]), given_by_code=by_code)
    found = tables.count(FOUND, ranking, VOCABULARY)
    assert found.classes == [
        tables.Row(DOG, 5, 2, 0),
        tables.Row(CAT, 4, 0, 1),
    ]
    assert found.rules == [
        tables.Row("annotated", 7, 2),
        tables.Row("parent", 2, 0),
    ]
    assert found.sources == [
        tables.Row("corrections", 2, 0),
        tables.Row("csv", 7, 2),
    ]


def test_rows_are_safe_in_a_spreadsheet():
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(FOUND))))
    assert rows[0]["name"] == "'=dog"
    assert rows[0]["image_id"] == "csv/a, b.jpg"
    assert rows[0]["picture"] == "pictures/00-00000001.jpg"
    assert rows[0]["follows"] == ANIMAL
    assert {row["verdict"] for row in rows} == {""}


def test_a_task_asks_one_question():
    first, _, last = tables.tasks(FOUND, VOCABULARY)
    assert first["data"]["question"] == (
        "Is there: =dog? It has this label, score 0.125, usual 0.500. "
        "With it: animal."
    )
    assert "It lacks this label" in last["data"]["question"]
    assert (first["data"]["image_id"], first["data"]["wnid"]) == (
        "csv/a, b.jpg",
        DOG,
    )
