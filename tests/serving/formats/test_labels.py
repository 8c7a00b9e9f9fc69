"""Names and settings beside the model."""

from __future__ import annotations

import csv
import json

import numpy as np

from serving.formats import labels
from serving.formats.options import FormatOptions


def test_plain(small_tagger, tmp_path):
    options = FormatOptions(format="openvino")
    labels.write(small_tagger, tmp_path, options, np.zeros(5, int))
    lines = (tmp_path / "labels.txt").read_text().splitlines()
    assert lines == ["c0", "c1", "c2", "c3", "c4"]
    told = json.loads((tmp_path / "settings.json").read_text())
    assert told["input"] == {
        "name": "pixels",
        "shape": [None, 16, 16, 3],
        "type": "uint8",
        "channels": "RGB",
        "range": [0, 255],
    }
    assert told["resizing"]["crop_fraction"] == 1.0
    assert told["run_with"] == {"INFERENCE_PRECISION_HINT": "f32"}
    assert told["vocabulary_version"] == small_tagger.vocabulary.fingerprint
    first, *_, last = told["classes"]
    assert (first["threshold"], last["threshold"]) == (0.5, None)
    assert last["parents"] == [first["id"]]


def test_for_photo_apps(small_tagger, tmp_path):
    options = FormatOptions(format="onnx", layout="wd")
    labels.write(small_tagger, tmp_path, options, [9, 8, 7, 6, 5])
    with (tmp_path / "selected_tags.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "tag_id": "1",
        "name": "c1",
        "category": "0",
        "count": "8",
    }
    told = json.loads((tmp_path / "settings.json").read_text())
    assert (told["input"]["type"], told["input"]["channels"]) == (
        *("float32", "BGR"),
    )
    assert not (tmp_path / "labels.txt").exists()
