import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from model.evaluation import evaluate, report_tables
from model.evaluation import report_tables as report_tables_
from model.evaluation.breakdowns import (
    Comparison,
    DepthRow,
    FrequencyRow,
    Known,
    OriginRow,
)
from model.evaluation.result import CalibrationReport, Evaluation
from model.scores.reliability import Reliability
from model.scores.tagging import TagFigures


@pytest.fixture
def vocabulary():
    return Vocabulary(
        [
            TagClass(0, "n00015388", "animal, beast"),
            TagClass(1, "n02084071", "dog"),
            TagClass(2, "n02121620", "cat"),
        ]
    )


def rising(count):
    return [Comparison(0.1 * i, 0.05 * i, 0.2 * i) for i in range(count)]


@pytest.fixture
def evaluation():
    """Nothing measured, everything filled in."""
    figure = Comparison(0.5, 0.25, 0.75)
    three = {f"{n}_at_5": figure for n in ("precision", "recall", "f1")}
    recalls = {"recall_at_5": figure, "recall_at_10": figure}
    steps = np.array([0.001, 0.01, 0.2, 0.9])
    reliability = Reliability(
        0.01, 0.02, 30.0, 8.25, steps, steps / 2, np.array([9e4, 900, 90, 30])
    )
    tags = TagFigures(4.0, 0.6, 0.5, 0.55, 0.6, 0.5, 0.4)
    return Evaluation(
        split="validation",
        images=2400,
        labels_per_image=8.25,
        figures={
            "f1_at_5": figure,
            "macro_average_precision": Comparison(0.5, 0.5, 0.5),
        },
        average_precision=np.array([0.5, 0.9, 0.0], "float32"),
        positives=np.array([3, 2, 0]),
        depth=np.array([0, 1, 1]),
        train_images=np.array([30, 20, 10]),
        average_precision_error=0.001,
        f1_at_k=rising(20),
        depths=[DepthRow(d, 2, 0.4, three, three) for d in range(3)],
        frequencies=[FrequencyRow(10, 29, 2, 0.4, 0.1, 0.3)],
        rules=[OriginRow("annotated", 1200, recalls)],
        sources=[OriginRow("open_images_human", 1200, recalls)],
        known=Known(40, 2, {"macro_average_precision": figure}),
        reliability=reliability,
        calibration=CalibrationReport(reliability, {"thresholds": tags}),
        tags_of_classes=np.full((3, 3), 0.25),
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
    paths = evaluate.write(evaluation, tmp_path / "evaluation", vocabulary)
    assert [p.name for p in paths] == [
        "validation.json",
        "validation_classes.tsv",
        "validation.png",
        "validation_f1_at_k.png",
        "validation_depth.png",
        "validation_frequency.png",
        "validation_reliability.png",
    ]
    content = json.loads(paths[0].read_text())
    assert content["figures"]["f1_at_5"]["gap_closed"] == 0.5
    assert content["images"] == 2400
    assert content["classes_with_images"] == 2
    assert paths[1].read_text() == (
        "wnid\tname\tdepth\ttrain_images\timages\taverage_precision"
        "\tprecision\trecall\tf1\n"
        "n02084071\tdog\t1\t20\t2\t0.9000\t0.2500\t0.2500\t0.2500\n"
        "n00015388\tanimal\t0\t30\t3\t0.5000\t0.2500\t0.2500\t0.2500\n"
    )
    for path in paths[2:]:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_write_is_deterministic(tmp_path, evaluation, vocabulary):
    first = evaluate.write(evaluation, tmp_path / "a", vocabulary)
    second = evaluate.write(evaluation, tmp_path / "b", vocabulary)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_without_calibration(tmp_path, evaluation, vocabulary):
    plain = dataclasses.replace(
        evaluation, calibration=None, tags_of_classes=None, known=None
    )
    paths = evaluate.write(plain, tmp_path, vocabulary)
    assert json.loads(paths[0].read_text())["calibration"] is None
    assert paths[1].read_text().splitlines()[0].endswith("average_precision")
    assert len(report_tables.tables(plain)) == 5


def test_tables(evaluation):
    console = Console(width=120, record=True)
    with console.capture() as capture:
        for table in report_tables.tables(evaluation):
            console.print(table)
    text = capture.get()
    assert len(report_tables.tables(evaluation)) == 8
    assert "known labels alone: 40 images" in text
    assert "10 to 29" in text
    assert "open images human" in text
    assert "labels an image, expected" in text


def test_tables_fit_80_columns(evaluation):
    console = Console(width=200)
    wide = dataclasses.replace(
        evaluation,
        depths=[
            dataclasses.replace(row, classes=11_166)
            for row in evaluation.depths
        ],
        sources=[
            dataclasses.replace(row, labels=154_000_000)
            for row in evaluation.sources
        ],
        calibration=dataclasses.replace(
            evaluation.calibration,
            tags={"probability 0.5": evaluation.calibration.tags["thresholds"]},
        ),
    )
    for table in report_tables.tables(wide):
        assert console.measure(table).maximum <= 80, table.title


def test_table(evaluation):
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(report_tables_.table(evaluation))
    text = capture.get()
    assert "2,400 validation images, 8.25 labels each" in text
    row = next(line for line in text.splitlines() if "F1 at 5" in line)
    assert row.replace("│", " ").split() == (
        "F1 at 5 0.500 0.250 0.750 50%".split()
    )
    row = next(line for line in text.splitlines() if "macro AP" in line)
    assert row.replace("│", " ").split()[-1] == "-"
