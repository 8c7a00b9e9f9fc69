"""The demo as users run it, with the figures that it must reach."""

import json

import pytest

from beam_jobs.errors import InputError
from serving.demo.demo import run_demo


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run_demo(tmp_path / "demo")


@pytest.mark.large
@pytest.mark.timeout(1500)
def test_the_whole_chain_and_a_second_run(tmp_path):
    lines: list[str] = []
    run_demo(tmp_path, say=lines.append)
    path = tmp_path / "training" / "evaluation" / "validation.json"
    evaluation = json.loads(path.read_text())
    figures = evaluation["figures"]
    f1 = figures["f1_at_5"]
    gap = (f1["model"] - f1["baseline"]) / (f1["ceiling"] - f1["baseline"])
    assert gap >= 0.6
    assert figures["best_leaf_right"]["model"] >= 0.6
    # Probabilities add up to the labels that there are; scores do not.
    reliable = evaluation["calibration"]["reliability"]
    observed = reliable["labels_observed"]
    assert reliable["labels_expected"] == pytest.approx(observed, rel=0.15)
    assert evaluation["reliability"]["labels_expected"] > 1.5 * observed
    assert any("scene-0000.jpg" in line and "*" in line for line in lines)
    assert (tmp_path / "contact_sheet.png").stat().st_size > 100_000
    versions = sorted((tmp_path / "models" / "tagforest").iterdir())
    weights = (tmp_path / "training" / "result.json").read_bytes()

    run_demo(tmp_path, say=lines.append)
    assert sorted((tmp_path / "models" / "tagforest").iterdir()) == versions
    assert (tmp_path / "training" / "result.json").read_bytes() == weights
