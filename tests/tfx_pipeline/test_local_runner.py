import dataclasses
from pathlib import Path

import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.scenes.write_scenes import write_scenes
from serving.api.version_folders import find_versions
from tfx_pipeline.local_runner import run
from tfx_pipeline.report import last_step, open_store
from tfx_pipeline.run_options import RunOptions

# A whole pipeline: its components alone take twenty seconds.
pytestmark = pytest.mark.large


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    write_scenes(
        folder,
        imagenet_images_per_class=1,
        open_images=40,
        image_size=32,
        progress=False,
    )
    return RunOptions(
        root=str(folder / "out"),
        dataset=build_options(
            DatasetOptions,
            {
                "imagenet": [str(folder / "imagenet")],
                "open_images": [str(folder / "open_images")],
                "min_images_open_images": 1,
                "validation_per_class": 0,
                "out": "",
            },
        ),
        overrides=[
            "data.image_size=16",
            "network.blocks=(1,)",
            "network.filters=(8,)",
            "network.strides=(1,)",
            "schedule.batch_size=32",
            "schedule.epochs=1",
        ],
        min_f1=0.05,
    )


@pytest.fixture(scope="module")
def first(options):
    lines = []
    return run(options, lines.append), lines


@pytest.mark.ci
def test_every_component_tells_what_it_did(first):
    _, lines = first
    names = [line.split()[0] for line in lines]
    assert names == [
        "DatasetGen",
        "StatisticsGen",
        "SchemaGen",
        "ExampleValidator",
        "Trainer",
        "LastBlessedModel",
        "Evaluator",
        "Pusher",
    ]
    # 88 classes with one image each and 40 scenes; three files are broken.
    assert "3 images rejected" in lines[0]


@pytest.mark.ci
def test_good_records_have_no_anomalies(first):
    assert first[0].anomalies == ()


@pytest.mark.ci
def test_a_first_model_above_the_threshold_is_pushed(first, options):
    result, _ = first
    assert result.blessed and result.baseline_f1 is None
    pushed = Path(result.pushed_to)
    assert pushed.parent == options.model_dir
    assert find_versions(options.model_dir) == [int(pushed.name)]


@pytest.mark.ci
def test_pushed_model_tags_images(first, options):
    import numpy as np

    from serving.api import contract
    from serving.saved_model.servable import Servable
    from serving.saved_model.warmup import sample_image

    servable = Servable(Path(first[0].pushed_to))
    images = np.array([sample_image(), b"not an image"], object)
    outputs = servable.run(contract.SCORES, {contract.IMAGE_BYTES: images})
    assert outputs[contract.VALID].tolist() == [True, False]


def test_later_models_are_measured_against_the_blessed_one(first, options):
    lines = []
    bad = dataclasses.replace(options, min_f1=0.99)
    result = run(bad, lines.append)
    assert not result.blessed and result.pushed_to is None
    assert result.baseline_f1 == result.f1 == first[0].f1
    cached = [line.split()[0] for line in lines if " cached " in line]
    assert "Trainer" in cached and "Evaluator" not in cached
    pushed = find_versions(options.model_dir)
    worse = dataclasses.replace(
        options,
        overrides=[
            *options.overrides,
            "schedule.learning_rate=1.0",
            "schedule.warmup=0.0",
        ],
    )
    result = run(worse)
    assert result.baseline_f1 == first[0].f1
    assert options.min_f1 < result.f1 < first[0].f1
    assert not result.blessed and result.pushed_to is None
    assert not last_step(open_store(options.root), "Trainer").cached
    assert find_versions(options.model_dir) == pushed
