import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Source
from beam_jobs.sources.corrections import read_files
from model.audit.audit import audit
from model.audit.options import FINDINGS, AuditOptions
from tests.helpers.audits import (
    BLUE,
    GREEN,
    IDS,
    IMAGES,
    TRUE,
    VOCABULARY,
    WRONG,
    square,
    train_on,
    write_noisy,
)
from tests.helpers.commands import run
from tests.helpers.datasets import file_hashes, write_shards

# A training first, and a network for every audit.
pytestmark = pytest.mark.large


@pytest.fixture(name="noisy", scope="module")
def fixture_noisy(tmp_path_factory):
    """Returns a run and a data set, two of whose labels are wrong."""
    folder = tmp_path_factory.mktemp("audit")
    dataset = write_noisy(folder / "dataset")
    return train_on(dataset, folder / "run"), dataset


def options(out, **more):
    return AuditOptions(out=str(out), progress=False, **more)


def test_planted_mistakes_come_first(noisy, tmp_path):
    found = audit(*noisy, options(tmp_path / "out"))
    assert found.images == 24
    doubtful = [f for f in found.findings if f.kind == "doubtful"]
    first = {(f.image_id, f.wnid): f for f in doubtful[:2]}
    assert {*first} == {(f"csv/{i}", IDS[given]) for i, given in WRONG.items()}
    finding = first["csv/1000", IDS[BLUE]]
    assert finding.instead == IDS[GREEN]
    assert (finding.rule, finding.source) == ("annotated", "csv")
    assert finding.follows == (IDS[0],)
    assert finding.score < finding.threshold
    missing = [f for f in found.findings if f.kind == "missing"]
    assert {(f.image_id, f.wnid) for f in missing[:2]} == {
        (f"csv/{i}", IDS[shown]) for i, shown in TRUE.items()
    }
    assert missing[0].follows == ()
    (source,) = found.counts.sources
    assert (source.name, source.labels) == ("csv", 24)
    assert source.doubtful == len(doubtful)
    classes = found.counts.classes
    assert sum(row.doubtful for row in classes) == len(doubtful)
    assert sum(row.missing for row in classes) == len(missing)


def test_files_are_the_same_again_and_read_back(noisy, tmp_path):
    out = tmp_path / "out"
    found = audit(*noisy, options(out))
    before = file_hashes(out)
    with pytest.raises(InputError, match="holds findings"):
        audit(*noisy, options(out))
    audit(*noisy, options(out, overwrite=True))
    assert file_hashes(out) == before
    assert all(path.is_file() for path in found.files)
    with open(out / FINDINGS, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.findings)
    assert all((out / row["picture"]).is_file() for row in rows)
    # Nobody has decided: it says nothing.
    assert read_files([str(out / FINDINGS)], VOCABULARY) == ({}, [])
    rows[0]["verdict"] = "absent"
    with open(out / FINDINGS, "w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    index = VOCABULARY.index_of(rows[0]["wnid"])
    said, letters = read_files([str(out / FINDINGS)], VOCABULARY)
    assert said == {rows[0]["image_id"]: {index: 0.0}}
    assert letters == []


def test_label_studio_takes_tasks_and_gives_corrections(noisy, tmp_path):
    out = tmp_path / "out"
    found = audit(*noisy, options(out))
    tasks = json.loads((out / "tasks.json").read_text())
    assert len(tasks) == len(found.findings)
    picture = tasks[0]["data"]["image"].partition("?d=")[2]
    assert (out / picture).is_file()
    assert '<Choice value="absent"/>' in (out / "labelling.xml").read_text()
    # As it exports what somebody chose.
    value = {"choices": ["absent"]}
    result = {"from_name": "choice", "type": "choices", "value": value}
    tasks[0]["annotations"] = [{"result": [result]}]
    exported = tmp_path / "export.json"
    exported.write_text(json.dumps(tasks))
    said, letters = read_files([str(exported)], VOCABULARY)
    index = VOCABULARY.index_of(found.findings[0].wnid)
    assert said == {found.findings[0].image_id: {index: 0.0}}
    assert letters == []


def test_what_was_corrected_is_not_asked_again(noisy, tmp_path):
    run_, dataset = noisy
    mine = Source.CORRECTIONS
    rows = []
    for number, given in WRONG.items():
        row = square(number, given, mine)
        hidden = [(given, 1.0, mine), (TRUE[number], 0.0, mine)]
        rows.append(replace(row, absent=[TRUE[number]], hidden=hidden))
    rows += [square(i, 1 + i % 3) for i in range(1002, 1024)]
    for name in ("vocabulary.tsv", "hierarchy.tsv", "manifest.json"):
        (tmp_path / name).write_bytes((dataset / name).read_bytes())
    write_shards(tmp_path, "validation", rows)
    found = audit(run_, tmp_path, options(tmp_path / "out"))
    asked = {f.image_id for f in found.findings}
    assert not asked & {f"csv/{i}" for i in WRONG}
    assert {r.name: r.labels for r in found.counts.sources} == {
        "corrections": 2,
        "csv": 22,
    }


def test_images_that_were_trained_on_are_refused(noisy, tmp_path):
    with pytest.raises(InputError, match="remembers their labels"):
        audit(*noisy, options(tmp_path / "out", split="train"))
    with pytest.raises(InputError, match="split"):
        options(tmp_path / "out", split="train", folds=2)


def test_the_command(noisy, tmp_path):
    said = run("audit", *noisy, "--out", tmp_path / "out", "--top", 3)
    assert said.exit_code == 0, said.output
    assert said.output.startswith("24 images looked at: 3 doubtful labels, ")
    assert "next: tagforest relabel" in said.output
    again = run("audit", *noisy, "--out", tmp_path / "out")
    assert isinstance(again.exception, InputError)
    bad = run("audit", *noisy, "--out", tmp_path / "new", "--split", "none")
    assert isinstance(bad.exception, InputError)
    assert not Path(tmp_path / "new").exists()


def test_folds_look_at_the_train_split(noisy, tmp_path):
    found = audit(*noisy, options(tmp_path / "out", folds=2))
    assert found.images == IMAGES
    assert found.judge is None
    ids = {f.image_id for f in found.findings}
    assert ids <= {f"csv/{i}" for i in range(IMAGES)}
    assert len({f.picture for f in found.findings}) == len(ids)
