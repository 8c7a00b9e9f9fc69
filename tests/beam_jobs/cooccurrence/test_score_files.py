import json

import pytest

from beam_jobs.cooccurrence import score_files
from beam_jobs.cooccurrence.score_files import ScoreRow
from beam_jobs.errors import InputError
from beam_jobs.rejections import Reason, Rejection

DOG, CAT = "n02084071", "n02121620"
UNKNOWN = "n03001627"
INDEX = {DOG: 0, CAT: 1}


def read(path, text, part_bytes=1 << 20):
    path.write_text(text, encoding="utf-8")
    parts = score_files.find_parts([str(path)], part_bytes)
    return [
        row
        for part in parts
        for row in score_files.read_scores(part, INDEX, 0.95)
    ]


def line(image_id="a", **values):
    return json.dumps({"image_id": image_id, "scores": values}) + "\n"


def test_json_lines(tmp_path):
    text = line("a", **{DOG: 0.96, CAT: 0.95}) + line("b") + "\n"
    assert read(tmp_path / "s.jsonl", text) == [
        # Over 0.95, not 0.95 itself.
        ScoreRow("a", (0,), 0),
        ScoreRow("b", (), 0),
    ]


@pytest.mark.parametrize("ending, mark", [("csv", ","), ("tsv", "\t")])
def test_tables(tmp_path, ending, mark):
    rows = [
        ("score", "image_id", "model", "wnid"),
        ("0.97", "a", "m", DOG),
        ("1", "a", "m", CAT),
        ("0.2", "b", "m", CAT),
    ]
    text = "\n".join(mark.join(row) for row in rows)
    assert read(tmp_path / f"s.{ending}", text) == [
        ScoreRow("a", (0,), 0),
        ScoreRow("a", (1,), 0),
        ScoreRow("b", (), 0),
    ]


def test_quoted_fields(tmp_path):
    text = f'image_id,wnid,score\n"a, b",{DOG},0.99\n'
    assert read(tmp_path / "s.csv", text) == [ScoreRow("a, b", (0,), 0)]


def test_unknown_classes_are_counted(tmp_path):
    text = line("a", **{DOG: 0.99, UNKNOWN: 0.99})
    assert read(tmp_path / "s.jsonl", text) == [ScoreRow("a", (0,), 1)]
    text = f"image_id,wnid,score\na,{UNKNOWN},0.99\n"
    assert read(tmp_path / "s.csv", text) == [ScoreRow("a", (), 1)]


@pytest.mark.parametrize(
    "row, detail",
    [
        ("{", "Expecting"),
        ("[" * 100_000, "nested|Expecting|recursion"),
        ("[1]", "'image_id'"),
        ('{"scores": {}}', "'image_id'"),
        ('{"image_id": 7, "scores": {}}', "'image_id'"),
        ('{"image_id": "", "scores": {}}', "'image_id'"),
        ('{"image_id": "a"}', "'scores'"),
        ('{"image_id": "a", "scores": [0.9]}', "'scores'"),
        (line(**{DOG: 1.5}).strip(), "0 to 1"),
        (line(**{DOG: True}).strip(), "0 to 1"),
        (line(**{DOG: None}).strip(), "0 to 1"),
        (line(**{DOG: float("nan")}).strip(), "0 to 1"),
        (line(dog=0.9).strip(), "n02084071"),
    ],
)
def test_malformed_json_lines(tmp_path, row, detail):
    path = tmp_path / "s.jsonl"
    good, bad, after = read(path, line() + row + "\n" + line("b"))
    assert (good.image_id, after.image_id) == ("a", "b")
    assert isinstance(bad, Rejection)
    assert (bad.reason, bad.item) == (Reason.MALFORMED_ROW, f"{path}:2")
    assert any(part in bad.detail for part in detail.split("|"))


@pytest.mark.parametrize(
    "row, detail",
    [
        (f"a,{DOG}", "3 fields"),
        (f"a,{DOG},high", "0 to 1"),
        (f"a,{DOG},-0.1", "0 to 1"),
        (f"a,{DOG},nan", "0 to 1"),
        (f",{DOG},0.9", "image_id is empty"),
        ("a,dog,0.9", "n02084071"),
        (f'"a,{DOG},0.9', "end of data"),
    ],
)
def test_malformed_rows(tmp_path, row, detail):
    path = tmp_path / "s.csv"
    text = f"image_id,wnid,score\na,{DOG},0.99\n{row}\n"
    good, bad = read(path, text)
    assert good == ScoreRow("a", (0,), 0)
    assert bad.item == f"{path}:3"
    assert detail in bad.detail


def test_parts_cover_each_row_once(tmp_path):
    names = [f"image{i}" for i in range(50)]
    table = "image_id,wnid,score\n" + "".join(
        f"{name},{DOG},0.99\n" for name in names
    )
    lines = "".join(line(name, **{DOG: 0.99}) for name in names)
    for path, text in (("s.csv", table), ("s.jsonl", lines)):
        rows = read(tmp_path / path, text, part_bytes=37)
        assert [row.image_id for row in rows] == names


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="ends in .csv, .tsv, .jsonl"):
        score_files.find_parts(["scores.txt"])
    with pytest.raises(InputError, match="no such file"):
        score_files.find_parts([str(tmp_path / "none.csv")])
    path = tmp_path / "s.csv"
    path.write_text("image,class,score\n")
    with pytest.raises(InputError, match="image_id, wnid, score; received"):
        score_files.find_parts([str(path)])
