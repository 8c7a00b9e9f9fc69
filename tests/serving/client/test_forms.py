from __future__ import annotations

import json
import os
from dataclasses import replace

from serving.api import contract
from serving.api.drawn import Box, Detection, Segment, Segmentation
from serving.api.prediction import Prediction, Tag, TaggedImage
from serving.client.forms import csv_lines, form_of, json_line, table_lines

DOG = Tag("dog", "n02084071", 0.5, parents=("n00015388", "n00001740"))
THING = Tag("thing, it", "n00001740", 0.25, leaf=False, is_tag=False)
GOOD = TaggedImage("a,b.jpg", Prediction(True, (DOG, THING), "m", "v"))
NONE = TaggedImage("c.jpg", Prediction(True, (), "m", "v"))
NAME = os.fsdecode(b"d\n\xff.jpg")
BAD = TaggedImage(NAME, Prediction(False, ()), "empty_file: 0 bytes")


BOX = Box("dog", "n02084071", 0.5, 1.5, 20.0, 300.25, 4000.0)
OWN = Box("soap", "own:bar_of_soap", 0.25, 0.0, 0.0, 1.0, 2.0)
BOXES = TaggedImage("a.jpg", Detection(True, (BOX, OWN), "m", "v"))
SEGMENTS = (
    Segment(0, "background", "", 0.75),
    Segment(2, "dog", "n02084071", 0.25),
)
MASK = TaggedImage(
    "a.jpg", Segmentation(True, SEGMENTS, b"PNG", "m", "v"), mask="m/a.png"
)


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


def test_boxes():
    csv, table = (form_of(f, contract.DETECT) for f in ("csv", "table"))
    assert csv.header == (
        "image,rank,name,wnid,score,ymin,xmin,ymax,xmax,error,model_version\n"
    )
    assert csv.lines(BOXES) == (
        "a.jpg,1,dog,n02084071,0.5,1.5,20.0,300.25,4000.0,,m\n"
        "a.jpg,2,soap,own:bar_of_soap,0.25,0.0,0.0,1.0,2.0,,m\n"
    )
    blank = " " * 40
    assert table.header == (
        f"{'image':40}  score     ymin     xmin     ymax     xmax  "
        "wnid       box\n"
    )
    assert table.lines(BOXES) == (
        f"{'a.jpg':40}  0.500      1.5     20.0    300.2   4000.0  "
        "n02084071        dog\n"
        f"{blank}  0.250      0.0      0.0      1.0      2.0  "
        "own:bar_of_soap  soap\n"
    )
    none = replace(BOXES, prediction=Detection(True))
    assert table.lines(none) == f"{'a.jpg':40}      -  no boxes\n"
    assert csv.lines(none).count(",") == csv.header.count(",")
    assert BOXES.to_json()["boxes"][0] == {
        **{"name": "dog", "wnid": "n02084071", "score": 0.5},
        **{"ymin": 1.5, "xmin": 20.0, "ymax": 300.25, "xmax": 4000.0},
    }


def test_masks():
    csv, table = (form_of(f, contract.SEGMENT) for f in ("csv", "table"))
    assert csv.header == (
        "image,rank,name,wnid,id,share,mask,error,model_version\n"
    )
    assert csv.lines(MASK) == (
        "a.jpg,1,background,,0,0.75,m/a.png,,m\n"
        "a.jpg,2,dog,n02084071,2,0.25,m/a.png,,m\n"
    )
    assert table.lines(MASK) == (
        f"{'a.jpg':40}  0.750             background\n"
        f"{'':40}  0.250  n02084071  dog\n"
    )
    assert json.loads(json_line(MASK)) == {
        "image": "a.jpg",
        "valid": True,
        "segments": [
            {"id": 0, "name": "background", "wnid": "", "share": 0.75},
            {"id": 2, "name": "dog", "wnid": "n02084071", "share": 0.25},
        ],
        "model_version": "m",
        "vocabulary_version": "v",
        "mask": "m/a.png",
        "error": None,
    }
    assert replace(MASK, mask="").to_json()["mask"] is None
