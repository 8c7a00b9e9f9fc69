"""The card of a data set, read by the tools of its format."""

import json

import pytest
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import card, dataset_folder, records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.options import DatasetOptions, RelabelOptions
from beam_jobs.dataset_job.relabel import relabel
from tests.helpers.datasets import build
from tests.helpers.images import noise_image

CARD = dataset_folder.CARD


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    for i in range(6):
        (folder / f"{i}.jpg").write_bytes(noise_image(i))
    rows = [
        "0.jpg,dog,train,https://cc.org/by/4.0/",
        "1.jpg,cat,train,https://cc.org/by/4.0/",
        "2.jpg,cat,val,own",
        "3.jpg,own thing,test,",
    ]
    (folder / "labels.csv").write_text(
        "\n".join(["image,label,split,license", *rows])
    )
    given = {
        "csv": [str(folder / "labels.csv")],
        "out": str(folder / "dataset"),
        "splits": "source",
    }
    build(build_options(DatasetOptions, given))
    return folder


def read(dataset):
    return json.loads((dataset / CARD).read_text())


def test_mlcroissant_finds_nothing_wrong(made):
    croissant = pytest.importorskip("mlcroissant")
    found = croissant.Dataset(str(made / "dataset" / CARD))
    assert not found.metadata.ctx.issues.errors
    assert {r.id for r in found.metadata.record_sets} == {
        *("classes", "train", "validation", "test"),
        *("labels_by_rule", "labels_by_source", "images_by_license"),
    }


def test_mlcroissant_reads_the_classes(made):
    croissant = pytest.importorskip("mlcroissant")
    found = croissant.Dataset(str(made / "dataset" / CARD)).records("classes")
    rows = [(r["classes/index"], r["classes/wnid"].decode()) for r in found]
    vocabulary = Vocabulary.load(made / "dataset" / load_classes.VOCABULARY)
    assert rows == [(i, c.wnid) for i, c in enumerate(vocabulary)]


def test_the_card_says_which_labels_the_rules_added(made):
    croissant = pytest.importorskip("mlcroissant")
    found = croissant.Dataset(str(made / "dataset" / CARD))
    name = "labels_by_rule"
    counts = {
        row[f"{name}/rule"]: row[f"{name}/labels"]
        for row in found.records(name)
    }
    assert counts["annotated"] == 4 and counts["ancestor"] > 4
    content = read(made / "dataset")
    said = content["rai:dataAnnotationProtocol"]
    added = f"added by rules: ancestor {counts['ancestor']} labels."
    assert said.endswith(f"4 annotated, the others {added}")
    assert content["license"] == ["https://cc.org/by/4.0/", "own"]
    assert content["rai:dataCollectionRawData"].startswith("csv ")


def test_fields_are_those_of_the_feature_spec():
    kinds = {"sc:ImageObject": tf.string, "sc:Text": tf.string}
    kinds |= {"cr:Int64": tf.int64, "cr:Float32": tf.float32}
    spec = records.feature_spec()
    assert {
        name: (kinds[kind], repeated)
        for name, (kind, repeated, _) in card.FIELDS.items()
    } == {
        name: (feature.dtype, isinstance(feature, tf.io.RaggedFeature))
        for name, feature in spec.items()
    }


def test_the_card_names_the_data_set_and_no_path(made):
    fingerprint = Manifest.load(made / "dataset").fingerprint
    assert read(made / "dataset")["identifier"] == f"sha256:{fingerprint}"
    assert str(made) not in (made / "dataset" / CARD).read_text()


def test_relabel_writes_a_card_of_its_own(made):
    from beam_jobs.labels.ledger import Rule

    relabel(
        RelabelOptions(
            str(made / "dataset"),
            str(made / "fewer"),
            without_rules=(Rule.ANCESTOR,),
        ),
        show_progress=False,
    )
    said = read(made / "fewer")["rai:dataAnnotationProtocol"]
    assert said == "4 labels: 4 annotated, the others added by rules: none."
