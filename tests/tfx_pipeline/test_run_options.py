import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.scenes.write_scenes import write_scenes
from tfx_pipeline.run_options import RunOptions, find_inputs


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
    assert default.model_dir == root / "serving" / "tagforest"
    chosen = options(root, "images", serving_dir=str(tmp_path / "models"))
    assert chosen.model_dir == tmp_path / "models" / "tagforest"


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
def test_a_score_is_from_0_to_1(tmp_path, name):
    with pytest.raises(InputError, match=f"{name} .* received: 1.5"):
        options(tmp_path, "images", **{name: 1.5})
