import pytest

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.data_gate.check import check
from beam_jobs.data_gate.summary import DataSummary
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.scenes.write_scenes import write_scenes
from beam_jobs.statistics.counts import load_images_per_class


def test_counts_of_a_data_set(tmp_path):
    write_scenes(
        tmp_path,
        imagenet_images_per_class=0,
        open_images=30,
        image_size=32,
        progress=False,
    )
    given = {
        "open_images": [str(tmp_path / "open_images")],
        "min_images_open_images": 1,
        "validation_per_class": 0,
        "out": str(tmp_path / "dataset"),
    }
    options = build_options(DatasetOptions, given)
    manifest = build_dataset(options, show_progress=False)
    found = DataSummary.of_dataset(options.out)
    assert found.fingerprint == manifest.fingerprint
    assert found.images == manifest.images["out"]
    vocabulary = load_vocabulary(options.out)
    counts = sum(
        load_images_per_class(options.out, split, vocabulary)
        for split in manifest.splits
    )
    wnid = vocabulary[int(counts.argmax())].wnid
    assert found.classes[wnid] == counts.max() > 20
    assert found.names[wnid] == vocabulary[int(counts.argmax())].display_name
    path = str(tmp_path / "kept.json")
    found.save(path)
    assert DataSummary.load(path) == found
    assert DataSummary.load(str(tmp_path / "none.json")) is None
    # Its own data has not moved.
    assert not [r for r in check(options.out, found).reasons if "moved" in r]


def test_no_data_set(tmp_path):
    with pytest.raises(InputError, match="no data set"):
        DataSummary.of_dataset(tmp_path)
