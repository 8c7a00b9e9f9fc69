from __future__ import annotations

import json
import os

import pytest

from beam_jobs.errors import InputError
from serving.api.prediction import Prediction, TaggedImage
from serving.client.forms import json_line
from serving.client.output import part_of, take_up, whole_file

GOOD = TaggedImage("a,b.jpg", Prediction(True, (), "m", "v"))
NONE = TaggedImage("c.jpg", Prediction(True, (), "m", "v"))
NAME = os.fsdecode(b"d\n\xff.jpg")
BAD = TaggedImage(NAME, Prediction(False, ()), "empty_file: 0 bytes")


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("old")
    with pytest.raises(KeyError):
        with whole_file(path) as file:
            raise KeyError
    assert not part_of(path).exists()
    with pytest.raises(KeyError):
        with whole_file(path) as file:
            file.write("new\n")
            raise KeyError
    assert path.read_text() == "old"
    assert part_of(path).read_text() == "new\n"
    with whole_file(path) as file:
        file.write("new\n")
    assert path.read_text() == "new\n"
    assert os.listdir(tmp_path) == ["o.csv"]


def test_a_run_is_taken_up(tmp_path):
    path = tmp_path / "o.json"
    assert take_up(path) == set()
    part_of(path).unlink()
    good, none, bad = map(json_line, (GOOD, NONE, BAD))
    assert json.loads(bad)["image"] == NAME
    path.write_text(good + bad)
    assert take_up(path) == {"a,b.jpg"}
    assert part_of(path).read_text() == good
    # The part, which is younger, counts; its last line was cut off.
    part_of(path).write_text(none + bad + good + good[:20])
    assert take_up(path) == {"c.jpg", "a,b.jpg"}
    assert part_of(path).read_text() == none + good
    part_of(path).write_text("image,rank\n")
    with pytest.raises(InputError, match="o.json.part:1: no line of"):
        take_up(path)
