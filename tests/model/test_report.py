import json

import numpy as np
import pytest
from rich.console import Console

from beam_jobs.vocabulary import TagClass, Vocabulary
from model import report
from model.report import Comparison, Evaluation


@pytest.fixture
def vocabulary():
    return Vocabulary(
        [
            TagClass(0, "n00015388", "animal, beast"),
            TagClass(1, "n02084071", "dog"),
            TagClass(2, "n02121620", "cat"),
        ]
    )


@pytest.fixture
def evaluation():
    return Evaluation(
        split="validation",
        images=2400,
        labels_per_image=8.25,
        figures={
            "f1_at_5": Comparison(0.5, 0.25, 0.75),
            "macro_average_precision": Comparison(0.5, 0.5, 0.5),
        },
        average_precision=np.array([0.5, 0.9, 0.0], "float32"),
        positives=np.array([3, 2, 0]),
        depth=np.array([0, 1, 1]),
    )


def test_comparison():
    assert Comparison(0.5, 0.25, 0.75).gap_closed == 0.5
    assert Comparison(1 / 3, 1 / 3, 1 / 3).to_json() == {
        "model": 0.333333,
        "baseline": 0.333333,
        "ceiling": 0.333333,
        "gap_closed": None,
    }


def test_write(tmp_path, evaluation, vocabulary):
    paths = report.write(evaluation, tmp_path / "evaluation", vocabulary)
    assert [p.name for p in paths] == [
        "validation.json",
        "validation_classes.tsv",
        "validation.png",
    ]
    content = json.loads(paths[0].read_text())
    assert content["figures"]["f1_at_5"]["gap_closed"] == 0.5
    assert content["images"] == 2400
    assert content["classes_with_images"] == 2
    assert paths[1].read_text() == (
        "wnid\tname\tdepth\timages\taverage_precision\n"
        "n02084071\tdog\t1\t2\t0.9000\n"
        "n00015388\tanimal\t0\t3\t0.5000\n"
    )
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_write_is_deterministic(tmp_path, evaluation, vocabulary):
    first = report.write(evaluation, tmp_path / "a", vocabulary)
    second = report.write(evaluation, tmp_path / "b", vocabulary)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_by_depth_leaves_out_classes_without_images(evaluation):
    assert evaluation.by_depth() == [
        {"depth": 0, "classes": 1, "macro_average_precision": 0.5},
        {"depth": 1, "classes": 1, "macro_average_precision": 0.9},
    ]


def test_table(evaluation):
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(report.table(evaluation))
    text = capture.get()
    assert "2,400 validation images, 8.25 labels each" in text
    row = next(line for line in text.splitlines() if "F1 at 5" in line)
    assert row.replace("│", " ").split() == (
        "F1 at 5 0.500 0.250 0.750 50%".split()
    )
    row = next(line for line in text.splitlines() if "macro AP" in line)
    assert row.replace("│", " ").split()[-1] == "-"
