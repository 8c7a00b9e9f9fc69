import base64

import numpy as np
import orjson
import pytest

from serving.traffic import log_format
from serving.traffic.log_format import image_rows, to_line, used, weights_of
from tests.helpers.images import noise_image

IMAGE = noise_image(0, (48, 40))


def outputs(**others):
    names = np.array([[b"n1", b"own:x", b""], [b"", b"", b""]], object)
    return {
        "wnids": names,
        "scores": np.array([[0.9, 0.25, 0], [0, 0, 0]], np.float32),
        "is_tag": np.array([[True, False, False], [False] * 3]),
        "valid": np.array([True, False]),
        "model_version": np.array([b"abc", b"abc"], object),
        **others,
    }


def images(*files):
    return {"image_bytes": np.array(files, object)}


def test_rows_of_tags():
    good, bad = image_rows(images(IMAGE, b"no image"), outputs())
    assert good["wnids"] == ["n1", "own:x"]
    assert good["scores"] == [0.9, 0.25]
    assert good["is_tag"] == [True, False]
    assert good["valid"] and (good["height"], good["width"]) == (48, 40)
    assert good["bytes"] == len(IMAGE) and 0 < good["brightness"] < 255
    assert bad == {
        "valid": False,
        "wnids": [],
        "scores": [],
        "is_tag": [],
        "bytes": 8,
    }


@pytest.mark.parametrize(
    ("best", "most", "kept"),
    [(1, 9, ["n1", "n3"]), (2, 9, ["n1", "n2", "n3"]), (1, 2, ["n1"])],
)
def test_the_best_classes_and_later_tags(monkeypatch, best, most, kept):
    monkeypatch.setattr(log_format, "BEST_CLASSES", best)
    monkeypatch.setattr(log_format, "MOST_CLASSES", most)
    found = {
        "wnids": np.array([[b"n1", b"n2", b"n3", b"n4"]], object),
        "scores": np.array([[0.9, 0.8, 0.7, 0.6]], np.float32),
        "is_tag": np.array([[True, False, True, False]]),
    }
    [row] = image_rows({}, found)
    assert row["wnids"] == kept
    assert "bytes" not in row and len(row["scores"]) == len(kept)
    [row] = image_rows({}, {k: v for k, v in found.items() if k != "is_tag"})
    assert row == {
        "wnids": ["n1", "n2"][:best],
        "scores": [0.9, 0.8][:best],
    }


def test_scores_without_names_are_left_out():
    found = {"scores": np.zeros((1, 99), np.float32), "valid": np.array([True])}
    assert used(found) == {"valid": found["valid"]}
    assert image_rows({}, found) == [{"valid": True}]
    assert image_rows({}, {"y": np.zeros(3)}) == []
    strange = {"image_bytes": np.zeros(3)}
    assert image_rows(strange, {}) == []


def test_files_only_if_asked_and_not_too_long(monkeypatch):
    [row] = image_rows(images(IMAGE), {}, with_files=True)
    assert base64.b64decode(row["b64"]) == IMAGE
    monkeypatch.setattr(log_format, "MOST_FILE_BYTES", 10)
    [row] = image_rows(images(IMAGE), {}, with_files=True)
    assert "b64" not in row


def test_a_line():
    facts = {"model": "m", "version": None, "signature": "", "ms": 1.5}
    line = to_line(facts, [])
    assert line == b'{"type":"tagforest_request_log","model":"m","ms":1.5}\n'
    assert orjson.loads(to_line(facts, [{"valid": True}]))["images"]
    assert weights_of(outputs()) == "abc" and weights_of({}) == ""
