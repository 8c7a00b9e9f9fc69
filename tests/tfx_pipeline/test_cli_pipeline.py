from pathlib import Path

import pytest

from beam_jobs.errors import InputError
from tests.helpers.commands import loaded_by, run
from tfx_pipeline import cli_pipeline
from tfx_pipeline.report import Result
from tfx_pipeline.run_options import RunOptions


def test_a_wrong_source_is_told_before_tfx_is_loaded(tmp_path):
    given = ("--imagenet", tmp_path / "nowhere", "--root", tmp_path)
    result = run("pipeline", *given)
    assert isinstance(result.exception, InputError)
    assert "nowhere" in str(result.exception)
    assert "Loading TFX" not in result.output


def test_the_module_loads_nothing_heavy():
    heavy = ("tfx", "tensorflow", "apache_beam")
    assert loaded_by("import tfx_pipeline.cli_pipeline", *heavy) == []


@pytest.mark.parametrize(
    ("f1", "baseline_f1", "told"),
    [
        (0.2, None, "F1@5 0.200 is not above --min-f1 0.3"),
        (0.4, 0.5, "below the last blessed model's 0.500"),
    ],
)
def test_why_a_model_was_not_pushed(f1, baseline_f1, told):
    result = Result(
        f1, baseline_f1, blessed=False, pushed_to=None, anomalies=()
    )
    assert told in cli_pipeline.describe(result, RunOptions(root="out"))


def test_what_was_pushed_and_the_next_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pushed = Path("out/serving/tagforest/17").absolute()
    result = Result(0.4, None, True, str(pushed), anomalies=("label/id",))
    assert cli_pipeline.describe(result, RunOptions(root="out")).split(
        "\n"
    ) == [
        "Anomalies in the data: label/id",
        "Blessed and pushed to out/serving/tagforest/17",
        "next: tagforest serve out/serving/tagforest",
    ]
