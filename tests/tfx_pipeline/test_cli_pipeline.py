import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from beam_jobs.errors import InputError
from tfx_pipeline import cli_pipeline
from tfx_pipeline.report import Result
from tfx_pipeline.run_options import RunOptions


@pytest.fixture
def app():
    app = typer.Typer()
    cli_pipeline.register(app)
    return app


def test_a_wrong_source_is_told_before_tfx_is_loaded(app, tmp_path):
    given = ["--imagenet", str(tmp_path / "nowhere"), "--root", str(tmp_path)]
    result = CliRunner().invoke(app, given)
    assert isinstance(result.exception, InputError)
    assert "nowhere" in str(result.exception)
    assert "Loading TFX" not in result.output


def test_the_module_loads_nothing_heavy():
    code = (
        "import sys, tfx_pipeline.cli_pipeline; "
        "print([m for m in ('tfx', 'tensorflow', 'apache_beam') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


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
