"""Labels made anew from the records alone; nothing that was said is lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from beam_jobs import rejections
from beam_jobs.classes import load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.options import RelabelOptions
from beam_jobs.dataset_job.relabel import relabel
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source
from tests.helpers.commands import run
from tests.helpers.datasets import build, options, read_examples
from tests.helpers.images import noise_image
from tests.helpers.raw_sources import (
    APPLE,
    CAT,
    DOG,
    write_imagenet,
    write_open_images,
)

ANIMAL = "n00015388"
HUMAN_ROWS = """\
both,verification,/m/d,1
both,verification,/m/an,0.8
twice,verification,/m/d,0.9
against,verification,/m/an,0
against,verification,/m/d,1
against,verification,/m/a,0
unsure,verification,/m/d,0.5
unsure,verification,/m/c,1
"""
MACHINE_ROWS = """\
both,machine,/m/c,0.8
twice,machine,/m/d,0.8
guessed,machine,/m/c,0.9
only,machine,/m/a,0.8
"""


@dataclass
class Made:
    """Where the data sets of these tests lie; the sources are gone."""

    folder: Path
    pairs: str

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def relabel(self, source: str, out: str, **changes) -> Manifest:
        given = RelabelOptions(self.path(source), self.path(out), **changes)
        return relabel(given, show_progress=False)

    def labels(self, name: str) -> dict[str, dict[str, float]]:
        """Returns confidence by WordNet id, of every image."""
        vocabulary = Vocabulary.load(
            self.folder / name / load_classes.VOCABULARY
        )
        return {
            image_id: {
                vocabulary[i].wnid: round(float(sure), 6)
                for i, sure in zip(
                    example[records.LABEL_ID],
                    example[records.LABEL_CONFIDENCE],
                    strict=True,
                )
            }
            for image_id, example in read_examples(self.folder / name).items()
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("relabel")
    write_sources(folder)
    pairs = folder / "pairs.tsv"
    rows = ["wnid\tadds_wnid\tco\tn_i\tn_ij", f"{CAT}\t{APPLE}\t0.9\t10\t9"]
    pairs.write_text("\n".join(rows) + "\n")
    few = {"images_per_shard": 6, "splits": "train=0.8,validation=0.2"}
    build(options(folder, "plain", **few))
    build(options(folder, "paired", cooccurrence=str(pairs), **few))
    build(options(folder, "labels", labels_only=True, **few))
    shutil.rmtree(folder / "imagenet")
    shutil.rmtree(folder / "open_images")
    return Made(folder, str(pairs))


def write_sources(folder: Path) -> None:
    """5 dogs, 5 cats, and images of which several sources speak."""
    write_imagenet(folder / "imagenet" / "images", (DOG, CAT), 5)
    names = ("both", "twice", "against", "unsure", "guessed", "only")
    write_open_images(
        folder / "open_images",
        {f"{name}.jpg": noise_image(50 + i) for i, name in enumerate(names)},
        {"/m/d": "Dog", "/m/c": "Cat", "/m/a": "Apple", "/m/an": "Animal"},
        human=HUMAN_ROWS.splitlines(),
        machine=MACHINE_ROWS.splitlines(),
    )


def test_pairs_applied_later_give_the_same_data_set(made):
    plain, paired = (
        Manifest.load(made.path(name)) for name in ("plain", "paired")
    )
    assert plain.fingerprint != paired.fingerprint
    later = made.relabel("plain", "later", cooccurrence=made.pairs)
    assert later.fingerprint == paired.fingerprint
    assert made.labels("later")[f"imagenet/{CAT}_0"][APPLE] == 1.0
    undone = made.relabel("later", "undone")
    assert undone.fingerprint == plain.fingerprint


def test_without_ancestors_the_annotations_are_left(made):
    made.relabel("plain", "annotated", without_rules=[Rule.ANCESTOR])
    expected = {f"imagenet/{DOG}_{i}": {DOG: 1.0} for i in range(5)}
    expected |= {f"imagenet/{CAT}_{i}": {CAT: 1.0} for i in range(5)}
    expected |= {
        "open_images/both": {DOG: 1.0, ANIMAL: 0.8, CAT: 0.8},
        "open_images/twice": {DOG: 0.9},
        "open_images/against": {DOG: 1.0},
        "open_images/unsure": {CAT: 1.0},
        "open_images/guessed": {CAT: 0.9},
        "open_images/only": {APPLE: 0.8},
    }
    assert made.labels("annotated") == expected


def test_switching_a_rule_off_and_on_loses_nothing(made):
    plain = Manifest.load(made.path("plain"))
    made.relabel("plain", "off", without_rules=[Rule.ANCESTOR])
    on = made.relabel("off", "on")
    assert on.fingerprint == plain.fingerprint
    assert made.labels("on")["open_images/both"][ANIMAL] == 1.0
    # And from a data set that had pairs, by way of one that has no rule.
    every = [Rule.ANCESTOR, Rule.CO_OCCURRENCE]
    made.relabel("paired", "bare", without_rules=every)
    again = made.relabel("bare", "again", cooccurrence=made.pairs)
    assert again.fingerprint == Manifest.load(made.path("paired")).fingerprint


def test_a_source_switched_off_leaves_no_trace(made):
    without = made.relabel(
        "plain",
        "verified",
        without_sources=[Source.OPEN_IMAGES_MACHINE],
    )
    assert without.images == {"in": 16, "out": 14, "rejected": 2}
    letters = Path(made.path("verified"), rejections.DEAD_LETTERS)
    (path,) = letters.iterdir()
    assert path.name == "no_label_in_vocabulary.jsonl"
    found = [json.loads(line) for line in path.open()]
    assert [letter["item"] for letter in found] == [
        "open_images/guessed",
        "open_images/only",
    ]
    labels = made.labels("verified")
    assert labels["open_images/twice"][DOG] == pytest.approx(0.9)
    assert CAT not in labels["open_images/both"]
    assert len(labels) == 14


def test_a_human_can_be_left_out_too(made):
    without = made.relabel(
        "plain", "guesses", without_sources=[Source.OPEN_IMAGES_HUMAN]
    )
    labels = made.labels("guesses")
    assert without.images["rejected"] == 2  # against, unsure
    assert labels["open_images/twice"][DOG] == pytest.approx(0.8)


def test_corrections_are_switched_on_and_off(made, tmp_path):
    path = tmp_path / "corrections.csv"
    rows = [
        f"imagenet/{DOG}_0,{DOG},absent",
        f"imagenet/{DOG}_0,{CAT},present",
        f"imagenet/{DOG}_1,{DOG},absent",
        f"open_images/both,{APPLE},present",
        f"open_images/both,{CAT},absent",
        f"imagenet/gone,{CAT},absent",
        f"imagenet/{DOG}_2,n00000001,absent",
    ]
    path.write_text("\n".join(["image_id,wnid,verdict", *rows]) + "\n")
    plain = Manifest.load(made.path("plain"))
    fixed = made.relabel("plain", "fixed", corrections=(str(path),))
    assert fixed.images == {"in": 17, "out": 15, "rejected": 2}
    assert fixed.rejected == {
        "malformed_record": 1,
        "missing_image": 1,
        "no_label_in_vocabulary": 1,
    }
    labels = made.labels("fixed")
    assert CAT in labels[f"imagenet/{DOG}_0"]
    assert DOG not in labels[f"imagenet/{DOG}_0"]
    assert f"imagenet/{DOG}_1" not in labels
    assert APPLE in labels["open_images/both"]
    assert CAT not in labels["open_images/both"]
    counts = json.loads(
        Path(made.path("fixed"), "statistics", "statistics.json").read_text()
    )
    assert "corrections" in json.dumps(counts)
    # An image without a label is gone, and comes back with none of them.
    kept = [x for x in rows if f"{DOG}_1" not in x]
    path.write_text("\n".join(["image_id,wnid,verdict", *kept]) + "\n")
    made.relabel("plain", "corrected", corrections=(str(path),))
    off = made.relabel(
        "corrected", "as_before", without_sources=[Source.CORRECTIONS]
    )
    assert off.fingerprint == plain.fingerprint
    again = made.relabel("corrected", "corrected_again")
    corrected = Manifest.load(made.path("corrected"))
    assert again.fingerprint == corrected.fingerprint != plain.fingerprint


def test_corrections_are_given_or_left_out(made, tmp_path):
    path = tmp_path / "corrections.csv"
    path.write_text(f"image_id,wnid,verdict\na/1,{DOG},absent\n")
    with pytest.raises(InputError, match="exclude each other"):
        made.relabel(
            "plain",
            "out",
            corrections=(str(path),),
            without_sources=[Source.CORRECTIONS],
        )


def test_images_keep_their_bytes_and_places(made):
    made.relabel("plain", "same", without_rules=[Rule.ANCESTOR])
    before = read_examples(made.path("plain"))
    after = read_examples(made.path("same"))
    assert list(before) == list(after)
    columns = (records.IMAGE_ENCODED, records.IMAGE_HEIGHT, records.IMAGE_WIDTH)
    for image_id, example in before.items():
        assert example[records.IMAGE_ENCODED]
        for name in columns:
            assert after[image_id][name] == example[name]


def test_labels_alone_are_relabelled(made):
    made.relabel("labels", "labels_off", without_rules=[Rule.ANCESTOR])
    on = made.relabel("labels_off", "labels_on")
    assert on.fingerprint == Manifest.load(made.path("labels")).fingerprint
    assert made.labels("labels_off")["open_images/only"] == {APPLE: 0.8}
    example = read_examples(made.path("labels_on"))["open_images/only"]
    assert example[records.IMAGE_ENCODED] == b""


def test_the_ledger_tells_what_was_annotated(made):
    example = read_examples(made.path("plain"))["open_images/both"]
    vocabulary = Vocabulary.load(
        made.folder / "plain" / load_classes.VOCABULARY
    )
    hidden = example[records.ANNOTATION_ID].tolist()
    assert hidden == [vocabulary.index_of(ANIMAL)]
    assert np.isclose(example[records.ANNOTATION_CONFIDENCE], [0.8]).all()


def test_an_existing_data_set_needs_overwrite(made):
    made.relabel("plain", "taken")
    with pytest.raises(InputError, match="taken holds a data set"):
        made.relabel("plain", "taken", cooccurrence=made.pairs)
    manifest = made.relabel(
        "plain", "taken", cooccurrence=made.pairs, overwrite=True
    )
    paired = Manifest.load(made.path("paired"))
    assert manifest.fingerprint == paired.fingerprint


@pytest.mark.parametrize("out", ["plain", "plain/", "other/../plain"])
def test_a_data_set_is_not_written_over_itself(made, out):
    before = Manifest.load(made.path("plain")).fingerprint
    with pytest.raises(InputError, match="another folder"):
        made.relabel("plain", out, overwrite=True)
    assert Manifest.load(made.path("plain")).fingerprint == before


def test_wrong_input_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="no data set"):
        made.relabel("none", "out")
    with pytest.raises(InputError, match="no such file"):
        made.relabel("plain", "out", cooccurrence=str(tmp_path / "none.tsv"))
    assert not Path(made.path("out")).exists()


def test_a_shard_that_is_damaged_or_missing_is_one_line(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made.path("plain"), copy)
    shard = min(copy.glob("train/*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError) as damaged:
        made.relabel(str(copy), str(tmp_path / "out"))
    said = f"{shard} is damaged at byte 12; copy it again"
    assert str(damaged.value).startswith(said)
    assert "while running" not in str(damaged.value)
    shard.unlink()
    with pytest.raises(InputError, match=f"missing: {shard.name}"):
        made.relabel(str(copy), str(tmp_path / "out"))
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--without-rule", "annotated"], "one of ancestor, co_occurrence"),
        (["--without-rule", "any"], "received: any"),
        (["--without-source", "google"], "one of imagenet, open_images_human"),
    ],
)
def test_unknown_names_are_refused(made, option, message):
    given = ("relabel", made.path("plain"), "--out", made.path("x"))
    result = run(*given, *option)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
