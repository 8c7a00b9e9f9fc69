"""Licence, author and URL: from the source to record, statistics, relabel."""

import json

import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import records
from beam_jobs.dataset_job.options import DatasetOptions, RelabelOptions
from beam_jobs.dataset_job.relabel import relabel
from beam_jobs.rejections import DEAD_LETTERS
from tests.helpers.datasets import build, read_examples
from tests.helpers.images import noise_image

ROWS = (
    "image,label,license,author,url\n"
    "0.jpg,dog,CC BY 2.0,Ann <b>,https://x.org/0\n"
    "1.jpg,dog,CC BY 2.0,,\n"
    "2.jpg,cat,,,\n"
    "2.jpg,cat,B,,\n"
    "2.jpg,cat,A,Zoë,\n"
    "3.jpg,cat,,,\n"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("origin")
    for i in range(4):
        (folder / f"{i}.jpg").write_bytes(noise_image(i))
    (folder / "labels.csv").write_text(ROWS)
    for out, more in (("dataset", {}), ("labels", {"labels_only": True})):
        given = {
            "csv": [str(folder / "labels.csv")],
            "out": str(folder / out),
            "validation_per_class": 0,
            **more,
        }
        build(build_options(DatasetOptions, given))
    given = RelabelOptions(str(folder / "dataset"), str(folder / "again"))
    relabel(given, show_progress=False)
    return folder


def origins(dataset):
    return {
        image_id.removeprefix("csv/"): tuple(
            example[name].decode() for name in records.ORIGIN
        )
        for image_id, example in read_examples(dataset).items()
    }


@pytest.mark.parametrize("out", ["dataset", "labels", "again"])
def test_records_say_what_the_source_knows(made, out):
    assert origins(made / out) == {
        "0.jpg": ("CC BY 2.0", "Ann <b>", "https://x.org/0"),
        "1.jpg": ("CC BY 2.0", "", ""),
        "2.jpg": ("A", "Zoë", ""),
        "3.jpg": ("", "", ""),
    }


def test_statements_that_differ_are_said(made):
    path = made / "dataset" / DEAD_LETTERS / "malformed_row.jsonl"
    (letter,) = map(json.loads, path.read_text().splitlines())
    assert letter["item"] == "csv/2.jpg"
    assert letter["detail"] == "license A and B; A is used"


@pytest.mark.parametrize("out", ["dataset", "labels", "again"])
def test_images_are_counted_by_licence(made, out):
    path = made / out / "statistics" / "statistics.json"
    splits = json.loads(path.read_text())["splits"].values()
    counts: dict[str, int] = {}
    for split in splits:
        for name, images in split.get("images_per_license", {}).items():
            counts[name] = counts.get(name, 0) + images
    assert counts == {"A": 1, "CC BY 2.0": 2}
    page = (made / out / "statistics" / "index.html").read_text()
    assert "<h2>Licences</h2>" in page and "not known" in page


def test_a_relabelled_record_is_the_same(made):
    def shards(out):
        paths = sorted((made / out).glob("t*/*"))
        assert {".offsets.npy" in p.name for p in paths} == {True, False}
        return [(path.name, path.read_bytes()) for path in paths]

    assert shards("again") == shards("dataset")
