"""Whole runs of the pipeline: what production users must be able to trust."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.errors import InputError
from beam_jobs.files.folder_lock import lock_folder
from model.evaluation.gate_options import ModelGateOptions
from serving.api.version_folders import find_versions
from tests.helpers.pipelines import (
    SMALL,
    options_of,
    ran,
    small_scenes,
    step,
)
from tfx_pipeline import lineage, names, state
from tfx_pipeline.components.model_gate import read_figures
from tfx_pipeline.components.tagger_metrics import flat
from tfx_pipeline.local_runner import run
from tfx_pipeline.outcomes import DataRefusedError, ModelRefusedError
from tfx_pipeline.prune import prune
from tfx_pipeline.report import open_store

# Its components alone take twenty seconds.
pytestmark = [pytest.mark.large, pytest.mark.ci, pytest.mark.timeout(900)]


# But for the one that is asked for by images to tag.
ALL = [c for c in names.COMPONENTS if c != names.TAGGING]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return small_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def options(scenes, tmp_path_factory):
    return options_of(tmp_path_factory.mktemp("pipeline"), scenes)


@pytest.fixture(scope="module")
def first(options):
    lines = []
    return run(options, lines.append), lines


def test_every_component_tells_what_it_did(first):
    _, lines = first
    assert [line.split()[0] for line in lines] == ALL
    # Three files are broken.
    assert "3 images rejected" in lines[0]


def test_a_first_model_is_pushed_and_tags_images(first, options):
    import numpy as np

    from serving.api import contract
    from serving.saved_model.servable import Servable
    from serving.saved_model.warmup import sample_image

    result, _ = first
    assert result.blessed and result.is_new and not result.not_calibrated
    pushed = Path(result.pushed_to)
    assert pushed.parent == Path(options.model_dir)
    assert find_versions(Path(options.model_dir)) == [int(pushed.name)]
    card = (pushed / "assets/model_card.md").read_text()
    assert "Not measured" not in card and "F1 at 5" in card
    images = np.array([sample_image(), b"not an image"], object)
    outputs = Servable(pushed).run(
        contract.SCORES, {contract.IMAGE_BYTES: images}
    )
    assert outputs[contract.VALID].tolist() == [True, False]


def test_tfma_has_all_figures_of_evaluate(first, options):
    evaluation = step(options, names.EVALUATOR).outputs["evaluation"]
    model = step(options, names.CALIBRATOR).outputs["model"]
    report = Path(model.uri, "run/evaluation/validation.json").read_text()
    expected = dict(flat(json.loads(report)))
    found = read_figures(evaluation.uri)
    assert len(expected) > 300
    assert {k: found[k] for k in expected} == pytest.approx(expected, abs=1e-6)


def test_only_what_changed_is_done_anew(first, options):
    lines = []
    often = (*SMALL, "checkpoint.every_seconds=7")
    result = run(replace(options, overrides=often), lines.append)
    # A blessed model is there now; it is the candidate itself.
    assert ran(lines) == [
        names.RESOLVER,
        names.EVALUATOR,
        names.MODEL_GATE,
        names.SERVE_CHECK,
        names.PUSHER,
    ]
    assert result.blessed and not result.is_new
    assert find_versions(Path(options.model_dir)) == [
        int(Path(first[0].pushed_to).name)
    ]
    lines.clear()
    run(options, lines.append)
    assert ran(lines) == [names.RESOLVER]


def test_new_images_are_tagged(first, options, scenes):
    images = scenes / "open_images/images"
    run(replace(options, tag_images=(str(images),)))
    answers = step(options, names.TAGGING).outputs["answers"]
    counts = answers.custom_properties
    there = len([p for p in images.rglob("*") if p.is_file()])
    tagged, rejected = counts["images"], counts["rejected"]
    assert tagged.int_value + rejected.int_value == there
    assert rejected.int_value and list(Path(answers.uri).rglob("*.parquet"))


def test_a_part_of_the_components(first, options):
    lines = []
    ends = replace(options, to_component=names.DATA_GATE)
    assert run(ends, lines.append) is None
    parts = [line.split()[0] for line in lines]
    assert parts == ALL[: ALL.index(names.DATA_GATE) + 1]
    lines.clear()
    # What the last whole run has left is judged by another gate.
    strict = ModelGateOptions(min_f1=0.99, min_validation_images=1)
    begins = replace(
        options, from_component=names.MODEL_GATE, model_gate=strict
    )
    result = run(begins, lines.append)
    assert [line.split()[0] for line in lines] == [
        *(names.MODEL_GATE, names.SERVE_CHECK, names.PUSHER)
    ]
    assert not result.blessed and "--min-f1 0.99" in result.reasons[0]
    with pytest.raises(ModelRefusedError, match="--min-f1 0.99"):
        run(replace(begins, to_component=names.MODEL_GATE), lines.append)


def test_where_a_version_came_from(first, options, tmp_path):
    version = Path(first[0].pushed_to).name
    nodes = lineage.trace(options.folder, version)
    kinds = [node.kind for node in nodes]
    assert kinds[0] == "PushedModel"
    assert {"Model", "ModelBlessing", "InfraBlessing", "Examples"} <= {*kinds}
    (model,) = [n for n in nodes if n.kind == "Model"]
    (examples,) = [n for n in nodes if n.kind == "Examples"]
    assert model.facts["fingerprint"] == examples.facts["fingerprint"]
    assert {"weights", "figures", "code", "versions", "config"} <= {
        *model.facts
    }
    # By the fingerprint that answers carry, too; and from the data.
    by_weights = lineage.trace(options.folder, model.facts["weights"][:12])
    assert by_weights[0].id == model.id
    found = lineage.models_of(options.folder, examples.facts["fingerprint"])
    assert [n.id for n in found] == [model.id]
    lineage.draw(nodes, str(tmp_path / "lineage.png"))
    assert (tmp_path / "lineage.png").stat().st_size > 5_000
    with pytest.raises(InputError, match="no model 17"):
        lineage.trace(options.folder, "17")


def test_a_worse_model_is_held_back(first, options):
    bad = ("schedule.learning_rate=1.0", "schedule.warmup=0.0")
    worse = replace(options, overrides=(*SMALL, *bad))
    result = run(worse)
    assert not result.blessed and result.pushed_to is None
    assert any("last blessed model's" in reason for reason in result.reasons)
    assert find_versions(Path(options.model_dir)) == [
        int(Path(first[0].pushed_to).name)
    ]


def test_two_at_once(options, monkeypatch):
    from beam_jobs.files import folder_lock

    monkeypatch.setattr(folder_lock, "_PATIENCE", 0.3)
    with (
        lock_folder(options.folder, "another"),
        pytest.raises(InputError, match="another job is at work"),
    ):
        run(options)


def without_most_frequent(folder, kept):
    """Takes the class that most images have of those in tars out of all."""
    tars = {p.stem: p for p in (folder / "imagenet/images").glob("*.tar")}
    wnid = max(tars, key=lambda w: kept["classes"].get(w, 0))
    tars[wnid].unlink()
    with (folder / "open_images/class-descriptions.csv").open() as file:
        labels = {name.lower(): label for label, name in csv.reader(file)}
    label = labels[kept["names"][wnid].lower()]
    for path in (folder / "open_images").glob("train-annotations-*.csv"):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        with path.open("w") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(r for r in rows if r["LabelName"] != label)


def test_a_lost_class_is_refused_until_it_is_accepted(
    first, options, scenes, tmp_path
):
    kept = state.read_json(options.folder, state.ACCEPTED)
    fewer = tmp_path / "fewer"
    shutil.copytree(scenes, fewer)
    without_most_frequent(fewer, kept)
    given = replace(
        options,
        dataset=options_of(options.root, fewer).dataset,
        data_gate=DataGateOptions(least_images=5),
    )
    with pytest.raises(DataRefusedError, match="refused: .* classes are lost"):
        run(given)
    assert "refused" in Path(options.root, "reports/data_gate.html").read_text()
    assert state.read_json(options.folder, state.ACCEPTED) == kept
    # The reason is in the metadata.
    executions = open_store(options.root).get_executions()
    last = max(executions, key=lambda e: e.id)
    assert "refused" in last.custom_properties["reason"].string_value
    assert run(replace(given, accept_data=True)).figures
    assert state.read_json(options.folder, state.ACCEPTED) != kept


def test_what_no_run_needs_is_pruned(first, options):
    served = find_versions(Path(options.model_dir))
    would = prune(options.root, keep=1, dry_run=True)
    assert would.paths and all(Path(path).exists() for path in would.paths)
    assert prune(options.root, keep=1) == would
    assert not any(Path(path).exists() for path in would.paths)
    assert find_versions(Path(options.model_dir)) == served
    assert not prune(options.root, keep=1).paths
    # What was deleted is made anew where it is asked for.
    assert run(options).blessed


def test_changed_classes_are_compared_by_their_ids(options, scenes, tmp_path):
    root = tmp_path / "out"
    run(replace(options, root=str(root)))
    other = {"min_images_open_images": 3}
    given = options_of(root, scenes)
    dataset = replace(
        given.dataset,
        vocabulary=replace(given.dataset.vocabulary, **other),
    )
    result = run(replace(given, dataset=dataset, accept_data=True))
    evaluation = step(given, names.EVALUATOR).outputs["evaluation"]
    figures = read_figures(evaluation.uri)
    # Of the same weights a model would be as good, but for other classes: by
    # index nearly all columns are another class's.
    earlier = figures["paired/f1_at_5/earlier"]
    assert earlier > 0.5 * first_f1(root)
    assert result.figures


def first_f1(root):
    model = min(
        (a for a in open_store(root).get_artifacts() if a.type == "Model"),
        key=lambda a: (
            a.id if a.custom_properties["figures"].string_value else 1e9
        ),
    )
    return json.loads(model.custom_properties["figures"].string_value)[
        "f1_at_5"
    ]


def test_a_version_that_is_gone_is_pushed_again(first, options):
    run(options)
    shutil.rmtree(options.model_dir)
    lines = []
    result = run(options, lines.append)
    assert names.PUSHER in ran(lines) and names.TRAINER not in ran(lines)
    assert result.is_new and Path(result.pushed_to).is_dir()
    assert run(options).pushed_to == result.pushed_to
