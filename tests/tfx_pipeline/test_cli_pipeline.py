import json
from pathlib import Path

import pytest

from beam_jobs.errors import InputError
from tests.helpers.commands import loaded_by, run
from tfx_pipeline import cli_pipeline
from tfx_pipeline.run_options import RunOptions

FIGURES = {"f1_at_5": 0.4}
PUSHED = {
    "figures": FIGURES,
    "blessed": True,
    "reasons": [],
    "pushed_to": "",
    "is_new": True,
    "not_calibrated": "",
    "tagged": 0,
}


def test_a_wrong_source_is_told_before_tfx_is_loaded(tmp_path):
    given = ("--imagenet", tmp_path / "nowhere", "--root", tmp_path)
    result = run("pipeline", *given)
    assert isinstance(result.exception, InputError)
    assert "nowhere" in str(result.exception)
    assert "Loading TFX" not in result.output


@pytest.mark.parametrize("flag", ["--root", "--serving-dir"])
@pytest.mark.parametrize("place", ["gs://bucket/x", "s3://b/x", "gs:/bucket"])
def test_a_remote_root_is_refused_before_any_work(
    tmp_path, monkeypatch, flag, place
):
    monkeypatch.chdir(tmp_path)
    result = run("pipeline", "--imagenet", tmp_path, flag, place)
    assert isinstance(result.exception, InputError)
    assert f"{flag} is a folder of this machine" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_module_loads_nothing_heavy():
    heavy = ("tfx", "tensorflow", "apache_beam")
    assert loaded_by("import tfx_pipeline.cli_pipeline", *heavy) == []


def test_why_a_model_was_not_pushed():
    result = PUSHED | {"blessed": False, "reasons": ["F1@5 is low", "too few"]}
    told = cli_pipeline.describe(result, RunOptions(root="out")).split("\n")
    assert told == [
        "Not blessed: F1@5 is low",
        "Not blessed: too few",
        "all figures: out/reports/model_gate.json",
    ]


def test_what_was_pushed_and_the_next_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pushed = str(Path("out/serving/tagforest/17").absolute())
    result = PUSHED | {"pushed_to": pushed, "not_calibrated": "no split"}
    options = RunOptions(root="out")
    assert cli_pipeline.describe(result, options).split("\n") == [
        "Not calibrated: no split",
        "Blessed and pushed to out/serving/tagforest/17",
        "next: tagforest serve out/serving/tagforest",
    ]
    again = cli_pipeline.describe(result | {"is_new": False}, options)
    assert "Blessed and there already: out/serving/tagforest/17" in again


def test_nothing_is_done_where_nothing_has_changed(tmp_path):
    options = RunOptions(root=str(tmp_path))
    assert cli_pipeline.finished(options, "key") is None
    (tmp_path / "state").mkdir()
    version = tmp_path / "serving/tagforest/17"
    version.mkdir(parents=True)
    last = PUSHED | {"key": "key", "pushed_to": str(version)}
    (tmp_path / "state/last_run.json").write_text(json.dumps(last))
    assert cli_pipeline.finished(options, "key") == last
    assert cli_pipeline.finished(options, "other") is None
    anew = RunOptions(root=str(tmp_path), enable_cache=False)
    assert cli_pipeline.finished(anew, "key") is None
    version.rmdir()
    assert cli_pipeline.finished(options, "key") is None


def test_no_pipeline_to_prune(tmp_path):
    result = run("pipeline", "prune", "--root", tmp_path)
    assert isinstance(result.exception, InputError)
    assert "no root of a pipeline" in str(result.exception)
