"""Jobs without a result end with one line that says why, and never pass."""

import errno
import json
import subprocess
import sys

import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job import disk_space
from beam_jobs.dataset_job.find_inputs import find_inputs
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import check_output_free, hold_output
from tests.helpers.datasets import build
from tests.helpers.images import noise_image


def options_of(folder, rows, **given):
    table = folder / "labels.csv"
    table.write_text("\n".join(["image,label", *rows]))
    (folder / "pictures").mkdir(exist_ok=True)
    given = {
        "csv": [str(table)],
        "images": [str(folder / "pictures")],
        "validation_per_class": 0,
        "out": str(folder / "dataset"),
        **given,
    }
    return build_options(DatasetOptions, given)


def test_a_data_set_without_images_is_none(tmp_path):
    options = options_of(tmp_path, ["g.png,dog", "h,cat"])
    (tmp_path / "pictures" / "g.jpg").write_bytes(noise_image(1))
    with pytest.raises(JobFailedError) as raised:
        build(options)
    assert "2 x missing_image" in str(raised.value)
    assert f"did you mean {tmp_path}/pictures/g.jpg?" in str(raised.value)
    dataset = tmp_path / "dataset"
    assert not (dataset / dataset_folder.MANIFEST).exists()
    letters = dataset / "dead_letters" / "missing_image.jsonl"
    assert len(letters.read_text().splitlines()) == 2


def test_a_file_of_annotations_that_is_lost_is_named(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (tmp_path / "good.json").write_text(json.dumps(content))
    (tmp_path / "cut.json").write_text('{"images": [{"id": 1}], "a": [}')
    paths = [str(tmp_path / name) for name in ("good.json", "cut.json")]
    options = options_of(tmp_path, ["a.jpg,dog"], coco=paths)
    with pytest.raises(JobFailedError, match=r"cut.json: not a COCO file"):
        build(options)
    letters = tmp_path / "dataset" / "dead_letters"
    assert (letters / "unreadable_source.jsonl").exists()


def test_what_the_images_are_belongs_to_the_request(tmp_path):
    options = options_of(tmp_path, ["a.jpg,dog"])
    picture = tmp_path / "pictures" / "a.jpg"
    picture.write_bytes(noise_image(1))
    _, first = find_inputs(options)
    (tmp_path / "pictures" / "log.jsonl").write_text("{}")
    assert find_inputs(options)[1] == first
    (tmp_path / "pictures" / "b.jpg").write_bytes(noise_image(2))
    assert find_inputs(options)[1] != first


HOLD = """
import sys, time
from beam_jobs.files.folder_lock import hold_output
with hold_output(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_an_output_has_one_job_and_outlives_a_killed_one(tmp_path):
    lock = tmp_path / "out" / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    for check in (
        check_output_free,
        lambda path: hold_output(path).__enter__(),
    ):
        with pytest.raises(InputError, match="another job writes"):
            check(str(lock))
    holder.kill()
    holder.communicate()
    assert lock.exists()
    with hold_output(str(lock)):
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("OSError: [Errno 30] Read-only file system [while ...]"),
    ],
)
def test_a_disk_is_named_in_one_line(error):
    with pytest.raises(JobFailedError, match="^out: (No space|Read-only)"):
        with disk_errors("out"):
            raise error
    with pytest.raises(KeyError), disk_errors("out"):
        raise KeyError("other")


def test_too_little_disk_is_known_before(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: _Full)
    rows = [f"{number}.jpg,dog" for number in range(500)]
    for given in ({}, {"labels_only": True}):
        with pytest.raises(InputError, match="too little disk"):
            build(options_of(tmp_path, rows, **given))


class _Full:
    free = 1000
