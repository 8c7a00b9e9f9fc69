from __future__ import annotations

import json
import os

import pytest

from beam_jobs.errors import InputError
from serving.api.prediction import Prediction, Tag, TaggedImage
from serving.client.output import (
    csv_lines,
    json_line,
    part_of,
    table_lines,
    take_up,
    whole_file,
)

DOG = Tag("dog", "n02084071", 0.5, parents=("n00015388", "n00001740"))
THING = Tag("thing, it", "n00001740", 0.25, leaf=False, is_tag=False)
GOOD = TaggedImage("a,b.jpg", Prediction(True, (DOG, THING), "m", "v"))
NONE = TaggedImage("c.jpg", Prediction(True, (), "m", "v"))
NAME = os.fsdecode(b"d\n\xff.jpg")
BAD = TaggedImage(NAME, Prediction(False, ()), "empty_file: 0 bytes")


def test_csv():
    assert csv_lines(GOOD) == (
        '"a,b.jpg",1,dog,n02084071,0.5,true,true,n00015388 n00001740,,m\n'
        '"a,b.jpg",2,"thing, it",n00001740,0.25,false,false,,,m\n'
    )
    assert csv_lines(NONE) == "c.jpg,,,,,,,,,m\n"
    assert csv_lines(BAD) == "d\\n\\udcff.jpg,,,,,,,,empty_file: 0 bytes,\n"


def test_table():
    blank = " " * 40
    assert table_lines(GOOD) == (
        f"{'a,b.jpg':40}  0.500  n02084071  dog\n"
        f"{blank}  0.250  n00001740  thing, it\n"
    )
    assert table_lines(NONE) == f"{'c.jpg':40}      -  no tags\n"
    name = "e" * 41
    long = TaggedImage(name, GOOD.prediction.top(1))
    assert table_lines(long) == f"{name}\n{blank}  0.500  n02084071  dog\n"


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("old")
    with pytest.raises(KeyError):
        with whole_file(path, "header\n") as file:
            raise KeyError
    assert not part_of(path).exists()
    with pytest.raises(KeyError):
        with whole_file(path, "header\n") as file:
            file.write("new\n")
            raise KeyError
    assert path.read_text() == "old"
    assert part_of(path).read_text() == "header\nnew\n"
    with whole_file(path, "header\n") as file:
        file.write("new\n")
    assert path.read_text() == "header\nnew\n"
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
