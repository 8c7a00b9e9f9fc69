from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.scenes.write_scenes import write_scenes
from model.evaluation.gate_options import ModelGateOptions
from tfx_pipeline import state
from tfx_pipeline.find_inputs import find_inputs
from tfx_pipeline.run_options import RunOptions


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(
        folder,
        imagenet_images_per_class=0,
        open_images=4,
        image_size=16,
        progress=False,
    )
    return folder / "open_images"


def options(root, source, **changes):
    return RunOptions(root=str(root), dataset=dataset(source), **changes)


def dataset(source, **given):
    given |= {"open_images": [str(source)], "out": ""}
    return build_options(DatasetOptions, given)


def test_paths_become_absolute(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(scenes.parent)
    inputs = find_inputs(options(tmp_path, scenes.name))
    assert inputs.dataset.sources.open_images == (str(scenes),)


def test_a_changed_source_changes_the_digest(scenes, tmp_path):
    before = find_inputs(options(tmp_path, scenes)).sources
    assert find_inputs(options(tmp_path, scenes)).sources == before
    picture = sorted((scenes / "images").rglob("*.jpg"))[0]
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert find_inputs(options(tmp_path, scenes)).sources != before


def test_changes_to_the_config(scenes, tmp_path):
    changed = options(tmp_path, scenes, overrides=["schedule.epochs=3"])
    assert find_inputs(changed).config.schedule.epochs == 3


def test_models_are_pushed_where_the_server_looks(tmp_path):
    root = tmp_path / "out"
    default = options(root, "images")
    assert default.model_dir == str(root / "serving" / "tagforest")
    chosen = options(root, "images", serving_dir=str(tmp_path / "models"))
    assert chosen.model_dir == str(tmp_path / "models" / "tagforest")


def test_missing_source(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        find_inputs(options(tmp_path, tmp_path / "nowhere"))


def test_no_source(tmp_path):
    with pytest.raises(InputError, match="--imagenet"):
        find_inputs(RunOptions(root=str(tmp_path)))


def test_unknown_config(scenes, tmp_path):
    with pytest.raises(InputError, match="demo"):
        find_inputs(options(tmp_path, scenes, config="nonsense"))


def test_missing_vocabulary(scenes, tmp_path):
    given = RunOptions(
        root=str(tmp_path),
        dataset=dataset(scenes, vocabulary=str(tmp_path / "none.tsv")),
    )
    with pytest.raises(InputError, match="none.tsv"):
        find_inputs(given)


def test_root_is_a_file(scenes, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        find_inputs(options(tmp_path / "file", scenes))


@pytest.mark.parametrize("name", ["min_f1", "tolerance"])
def test_a_score_is_from_0_to_1(name):
    with pytest.raises(InputError, match=f"{name} .* received: 1.5"):
        ModelGateOptions(**{name: 1.5})


def test_only_what_matters_is_in_the_key(scenes, tmp_path):
    key = find_inputs(options(tmp_path, scenes)).key
    alike = {"local_workers": 2, "beam_args": ("--direct_num_workers=2",)}
    assert find_inputs(options(tmp_path, scenes, **alike)).key == key
    often = ["checkpoint.every_seconds=7"]
    assert find_inputs(options(tmp_path, scenes, overrides=often)).key == key
    for changes in (
        {"overrides": ["schedule.epochs=3"]},
        {"model_gate": ModelGateOptions(min_f1=0.4)},
        {"serving_dir": str(tmp_path / "other")},
    ):
        assert find_inputs(options(tmp_path, scenes, **changes)).key != key


def test_a_data_set_or_sources(scenes, tmp_path):
    both = options(tmp_path, scenes, existing=str(tmp_path))
    with pytest.raises(InputError, match="not both; received also: sources"):
        find_inputs(both)
    given = build_options(DatasetOptions, {"min_confidence": 0.9, "out": ""})
    usual = RunOptions().dataset
    of_labels = replace(usual, labels=given.labels)
    with pytest.raises(InputError, match="received also: labels"):
        find_inputs(replace(both, dataset=of_labels))


def test_classes_of_earlier_spans_keep_their_places(scenes, tmp_path):
    for span in (1, 2):
        (tmp_path / f"span-{span}").mkdir()
        (tmp_path / f"span-{span}/scenes").symlink_to(scenes)
    given = options(tmp_path / "out", tmp_path / "span-{SPAN}/scenes")
    first = find_inputs(given)
    # There were none before.
    assert first.dataset.vocabulary.base is None
    accepted = tmp_path / "out/state/classes"
    accepted.mkdir()
    for name in ("vocabulary.tsv", "hierarchy.tsv"):
        (accepted / name).write_text("kept\n")
    # A rerun builds nothing anew.
    assert find_inputs(given) == first
    (tmp_path / "span-3").mkdir()
    (tmp_path / "span-3/scenes").symlink_to(scenes)
    grown = find_inputs(given).dataset.vocabulary
    assert grown.grow and Path(grown.base).read_text() == "kept\n"
    # Later classes change nothing of it.
    (accepted / "vocabulary.tsv").write_text("later\n")
    assert find_inputs(given).dataset.vocabulary == grown
    assert Path(grown.base).read_text() == "kept\n"


def test_a_warm_start_is_from_other_data(scenes, tmp_path):
    given = options(tmp_path, scenes, warm_start=True)
    data = find_inputs(given).sources
    assert find_inputs(given).config.start.source is None
    for name, of in (("m1", "other"), ("m2", data)):
        (tmp_path / name).mkdir()
        blessing = {"model": str(tmp_path / name), "data": of}
        state.add_blessing(str(tmp_path), blessing)
    found = find_inputs(given).config.start.source
    assert found == str(tmp_path / "m1" / "run")


def test_a_warm_start_and_a_start(scenes, tmp_path):
    given = options(
        tmp_path, scenes, warm_start=True, overrides=["start.source=x"]
    )
    with pytest.raises(InputError, match="start.source=x"):
        find_inputs(given)
