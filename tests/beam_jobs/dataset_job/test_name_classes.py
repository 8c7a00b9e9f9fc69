"""Own classes from a CSV to records and back, without images."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.classes.load_classes import load_classes
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.list_classes import ListOptions, list_classes
from beam_jobs.dataset_job.options import (
    DatasetOptions,
    ImageChecks,
    RelabelOptions,
    SplitOptions,
)
from beam_jobs.dataset_job.relabel import relabel
from beam_jobs.errors import InputError
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.labels.ledger import Rule, Source, rules_of, sources_of
from beam_jobs.sources.find_sources import SourcePaths
from tests.helpers.commands import run

SIGN, DOG = "n06794110", "n02084071"


@pytest.fixture
def csv(tmp_path):
    rows = ["1.jpg,stop sign", "2.jpg,dog;Stop_Sign", "3.jpg,GoPro", "4.jpg,狗"]
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\n" + "\n".join(rows) + "\n")
    return str(path)


def build(csv, out, separator=None, **vocabulary):
    return build_dataset(
        DatasetOptions(
            out=str(out),
            sources=SourcePaths(csv=(csv,), label_separator=separator),
            vocabulary=VocabularyOptions(**vocabulary),
            images=ImageChecks(labels_only=True),
            splits=SplitOptions(validation_per_class=0),
        ),
        show_progress=False,
    )


def labels(dataset):
    """Returns (class, rule, source) of every label, by image."""
    vocabulary, _ = load_classes(str(dataset / "vocabulary.tsv"))
    paths = [
        str(p)
        for s in Manifest.load(str(dataset)).splits
        for p in dataset_folder.shard_paths(str(dataset), s)
    ]
    found = {}
    for data in tf.data.TFRecordDataset(paths):
        row = tf.io.parse_single_example(data, records.feature_spec())
        ids = row[records.LABEL_ID].numpy().tolist()
        ledger = np.asarray(row[records.LABEL_LEDGER].numpy())
        found[row[records.IMAGE_ID].numpy().decode()] = {
            (vocabulary[i].wnid, Rule(rule), Source(source))
            for i, rule, source in zip(
                ids,
                rules_of(ledger).tolist(),
                sources_of(ledger).tolist(),
                strict=True,
            )
        }
    return found


def test_own_classes_are_labels_with_their_parents(csv, tmp_path):
    (tmp_path / "map.csv").write_text(f"name,class,parent\n狗,{DOG},\n")
    build(csv, tmp_path / "d", class_map=str(tmp_path / "map.csv"))
    found = labels(tmp_path / "d")
    assert ("own:gopro", Rule.ANNOTATED, Source.CSV) in found["csv/3.jpg"]
    assert (DOG, Rule.ANNOTATED, Source.CSV) in found["csv/4.jpg"]
    for image in ("csv/1.jpg", "csv/2.jpg"):
        assert ("own:stop_sign", Rule.ANNOTATED, Source.CSV) in found[image]
        assert (SIGN, Rule.ANCESTOR, Source.CSV) in found[image]


def test_a_label_of_other_labels_is_refused_until_it_is_said_to_be_one(
    tmp_path,
):
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\n1.jpg,dog;sign\n2.jpg,stop;stop dog\n")
    with pytest.raises(InputError, match="'stop dog'.*--label-separator"):
        build(str(path), tmp_path / "out")
    build(str(path), tmp_path / "out", separator=";")
    found = {wnid for wnid, _, _ in labels(tmp_path / "out")["csv/2.jpg"]}
    assert "own:stop_dog" in found


def test_parent_stands_for_a_class_that_a_fixed_vocabulary_lacks(csv, tmp_path):
    vocabulary = tmp_path / "vocabulary.tsv"
    vocabulary.write_text(
        f"index\twnid\tname\n0\t{DOG}\tdog\n1\t{SIGN}\tstreet sign\n"
    )
    made = build(csv, tmp_path / "d", base=str(vocabulary))
    by_parent = (SIGN, Rule.PARENT, Source.CSV)
    dog = (DOG, Rule.ANNOTATED, Source.CSV)
    expected = {"csv/1.jpg": {by_parent}, "csv/2.jpg": {by_parent, dog}}
    assert labels(tmp_path / "d") == expected
    assert made.images == {"in": 4, "out": 2, "rejected": 2}
    source = str(tmp_path / "d")
    relabel(RelabelOptions(source, str(tmp_path / "same")))
    assert labels(tmp_path / "same") == expected
    off = str(tmp_path / "off")
    relabel(RelabelOptions(source, off, without_rules=(Rule.PARENT,)))
    assert labels(tmp_path / "off") == {"csv/2.jpg": {dog}}


def test_overrides_beside_a_csv_are_read(csv, tmp_path):
    (tmp_path / "wordnet-overrides.csv").write_text(
        f"LabelName,WordNetId\nGoPro,\ncsv:stop sign,{DOG}\nabsent,\n"
    )
    rows = list_classes(ListOptions(SourcePaths(csv=(csv,))))
    assert {r["display_name"]: (r["wnid"], r["rule"]) for r in rows} == {
        "stop sign": (DOG, "class_map"),
        "Stop_Sign": ("own:stop_sign", "kind"),
        "dog": (DOG, "lemma"),
        "GoPro": ("", "class_map"),
        "狗": ("own:狗", "own"),
    }


def test_rows_of_a_map_that_name_nothing_are_said(csv, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        f"name,class\nstop-sgin,{SIGN}\nSTOP SIGN,{SIGN}\ncsv:狗,{DOG}\n"
    )
    said = []
    options = VocabularyOptions(class_map=str(path))
    list_classes(
        ListOptions(SourcePaths(csv=(csv,)), options), on_note=said.append
    )
    assert said == [
        "1 of 3 rows of the class map name no class of the sources: "
        f"{path}:2 stop-sgin; are they spelt as there?"
    ]
    command = ("classes", "--csv", csv, "--class-map", path)
    assert said[0] in run(*command).output.splitlines()
    job = ("dataset", *command[1:], "--out", tmp_path / "d", "--labels-only")
    assert said[0] in run(*job).output.splitlines()


def test_own_parents_have_parents(csv, tmp_path):
    (tmp_path / "map.csv").write_text(
        f"name,class,parent\nGoPro,own:gopro,own:cams\nCams,own:cams,{SIGN}\n"
    )
    said = []
    options = ListOptions(
        SourcePaths(csv=(csv,)),
        VocabularyOptions(class_map=str(tmp_path / "map.csv")),
        out=str(tmp_path / "again.csv"),
    )
    rows = list_classes(options, on_note=said.append)
    assert rows[-1]["key"] == "class_map:Cams"
    assert not said
    build(csv, tmp_path / "d", class_map=options.out)
    vocabulary, tree = load_classes(str(tmp_path / "d" / "vocabulary.tsv"))
    gopro, cams = (vocabulary.index_of(f"own:{n}") for n in ("gopro", "cams"))
    assert vocabulary[cams].name == "Cams"
    assert tree.parents[gopro] == (cams,)
    assert tree.parents[cams] == (vocabulary.index_of(SIGN),)


def test_a_vocabulary_grows_by_own_parents(csv, tmp_path):
    base, rows = tmp_path / "vocabulary.tsv", tmp_path / "map.csv"
    base.write_text(f"index\twnid\tname\n0\t{DOG}\tdog\n1\t{SIGN}\tsign\n")
    rows.write_text(
        f"name;class;parent\nGoPro;own:gopro;own:cams\nCams;own:cams;{SIGN}\n"
    )
    build(
        csv,
        tmp_path / "d",
        base=str(base),
        grow=True,
        class_map=str(rows),
    )
    vocabulary, tree = load_classes(str(tmp_path / "d" / "vocabulary.tsv"))
    assert [c.wnid for c in vocabulary][:3] == [DOG, SIGN, "own:cams"]
    assert tree.parents[vocabulary.index_of("own:gopro")] == (2,)
    assert tree.parents[2] == (1,)


def test_own_ids_are_names_of_their_classes(tmp_path):
    rows = ["1.jpg,own:stop_sign", "2.jpg,own:gopro;GoPro", "3.jpg,own:No"]
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\n" + "\n".join(rows) + "\n")
    build(str(path), tmp_path / "d")
    vocabulary, _ = load_classes(str(tmp_path / "d" / "vocabulary.tsv"))
    assert {c.wnid: c.name for c in vocabulary} == {
        "own:stop_sign": "stop sign",
        "own:gopro": "GoPro",
        "own:own_no": "own:No",
    }


def test_one_job_at_a_time_writes_a_map(csv, tmp_path):
    out = str(tmp_path / "map.csv")
    options = ListOptions(SourcePaths(csv=(csv,)), out=out)
    with hold_output(f"{out}.lock"):
        with pytest.raises(InputError, match="another job writes this output"):
            list_classes(options)
    list_classes(options)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "labels.csv",
        "map.csv",
    ]


def test_written_map_gives_the_same_classes(csv, tmp_path):
    out = str(tmp_path / "map.csv")
    rows = list_classes(ListOptions(SourcePaths(csv=(csv,)), out=out))
    with_map = VocabularyOptions(class_map=out)
    again = list_classes(ListOptions(SourcePaths(csv=(csv,)), with_map))
    kept = ("key", "wnid", "parent", "images")
    assert [[r[k] for k in kept] for r in rows] == [
        [r[k] for k in kept] for r in again
    ]
    assert {r["rule"] for r in again} == {"class_map"}
