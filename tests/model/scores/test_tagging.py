import numpy as np
import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from model.scores import tagging
from model.scores.back_off import BackOff, Level

VOCABULARY = Vocabulary(
    [
        TagClass(0, "n00015388", "animal, beast"),
        TagClass(1, "n02084071", "dog"),
        TagClass(2, "n02121620", "cat"),
    ]
)


def back_off(values):
    return BackOff(
        np.array(values),
        np.array([Level.CLASS, Level.SUBTREE, Level.GLOBAL], np.int8),
        np.array([0, 0, -1], np.int32),
        np.array([500, 120, 640]),
    )


CALIBRATION = back_off([[1.0, 0.0], [2.0, -1.0], [0.5, 0.25]])
THRESHOLDS = back_off([[0.5, 0.6, 0.7], [0.9, 0.8, 0.4], [np.inf, np.nan, 0]])


def save(folder):
    return tagging.save(
        folder, VOCABULARY, CALIBRATION, THRESHOLDS, {"weights": "abc"}
    )


def test_save(tmp_path):
    paths = save(tmp_path)
    assert [p.name for p in paths] == ["calibration.json", "thresholds.tsv"]
    rows = [r.split("\t") for r in paths[1].read_text().splitlines()]
    assert rows[1] == [
        *("n00015388", "animal", "0.5", "0.5"),
        *("class", "n00015388", "500", "0.6000", "0.7000"),
        *("1", "0", "class", "n00015388", "500"),
    ]
    # log(9) = 2 x logit - 1.
    assert float(rows[2][3]) == pytest.approx(
        1 / (1 + np.exp(-(np.log(9) + 1) / 2)), rel=1e-5
    )
    assert rows[2][4:7] == ["subtree", "n00015388", "120"]
    assert rows[3][2:7] == ["inf", "inf", "global", "", "640"]


def test_load(tmp_path):
    save(tmp_path)
    found = tagging.load(tmp_path, VOCABULARY, "abc")
    np.testing.assert_array_equal(found.calibration, CALIBRATION.values)
    assert found.thresholds.tolist() == [0.5, 0.9, np.inf]


def test_load_without(tmp_path):
    assert tagging.load(tmp_path, VOCABULARY, "abc") is None


def test_load_refuses(tmp_path):
    save(tmp_path)
    with pytest.raises(InputError, match="fitted to other weights.*calibrate"):
        tagging.load(tmp_path, VOCABULARY, "def")
    with pytest.raises(InputError, match="lists other classes"):
        tagging.load(tmp_path, Vocabulary(list(VOCABULARY)[:2]), "abc")


def test_apply(tmp_path):
    save(tmp_path)
    found = tagging.load(tmp_path, VOCABULARY, "abc")
    scores = np.array([[0.6, 0.8, 0.999], [0.4, 0.95, 0.5]])
    logits = found.logits(scores)
    expected = [
        [np.log(1.5), 2 * np.log(4) - 1, 0.5 * np.log(999) + 0.25],
        [np.log(2 / 3), 2 * np.log(19) - 1, 0.25],
    ]
    np.testing.assert_allclose(logits, expected, rtol=1e-3)
    # log(9) = 2.2: 1.77 is below, 4.89 above; the last is never a tag.
    np.testing.assert_array_equal(
        found.choose(logits), [[True, False, False], [False, True, False]]
    )


def test_counts():
    counts = tagging.TagCounts(3)
    chosen = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], bool)
    positive = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    counts.add(chosen[:2], positive[:2])
    counts.add(chosen[2:], positive[2:])
    found = counts.result()
    assert found.tags_per_image == 1.0
    assert found.precision == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found.recall == pytest.approx((1 + 0 + 0) / 3)
    assert found.f1 == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found.micro_precision == pytest.approx(1 / 3)
    assert found.micro_recall == pytest.approx(1 / 2)
    # Class 2 has no positives.
    assert found.macro_f1 == pytest.approx((1 + 0) / 2)


def test_nothing_counted():
    assert tagging.TagCounts(3).result().f1 == 0.0
