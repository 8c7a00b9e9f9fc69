import json

import numpy as np
import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.ragged_columns import Labels
from beam_jobs.statistics import counts as statistics
from beam_jobs.statistics import page
from beam_jobs.statistics.counts import Statistics

ANIMAL, DOG, CAT, CHAIR = range(4)


@pytest.fixture
def vocabulary():
    names = ("animal", "dog", "cat", "chair")
    wnids = ("n00015388", "n02084071", "n02121620", "n03001627")
    return Vocabulary(
        TagClass(i, w, n)
        for i, (w, n) in enumerate(zip(wnids, names, strict=True))
    )


def labels(*images):
    """Labels of images, each a list of (id, confidence, rule, from, source)."""
    rows = [row for image in images for row in image]
    ids, confidences, rules, parents, sources = (
        zip(*rows, strict=True) if rows else [()] * 5
    )
    return Labels(
        row_splits=np.cumsum([0, *(len(image) for image in images)]),
        ids=np.array(ids, np.int32),
        confidences=np.array(confidences, np.float32),
        rules=np.array(rules, np.uint8),
        parents=np.array(parents, np.int32),
        sources=np.array(sources, np.uint8),
    )


# A dog from ImageNet; a dog and, said by a machine, a cat; a chair that is
# seen with dogs, which are animals.
ONE_DOG = [
    (ANIMAL, 1.0, Rule.ANCESTOR, DOG, Source.IMAGENET),
    (DOG, 1.0, Rule.ANNOTATED, DOG, Source.IMAGENET),
]
DOG_AND_CAT = [
    (ANIMAL, 1.0, Rule.ANCESTOR, DOG, Source.OPEN_IMAGES_HUMAN),
    (DOG, 1.0, Rule.ANNOTATED, DOG, Source.OPEN_IMAGES_HUMAN),
    (CAT, 0.5, Rule.ANNOTATED, CAT, Source.OPEN_IMAGES_MACHINE),
]
CHAIR_WITH_DOG = [
    (ANIMAL, 1.0, Rule.ANCESTOR, DOG, Source.CSV),
    (DOG, 1.0, Rule.CO_OCCURRENCE, CHAIR, Source.CSV),
    (CHAIR, 1.0, Rule.ANNOTATED, CHAIR, Source.CSV),
]


def counted(*images):
    return Statistics(4).add(labels(*images))


def test_counts():
    train = counted(ONE_DOG, ONE_DOG, DOG_AND_CAT)
    assert train.images == 3
    assert train.images_per_class.tolist() == [3, 3, 1, 0]
    assert train.annotated_images_per_class.tolist() == [0, 3, 1, 0]
    assert train.labels_per_image == {2: 2, 3: 1}
    assert train.annotated_per_image == {1: 2, 2: 1}
    assert train.labels == 7
    assert train.mean_labels == pytest.approx(7 / 3)
    assert train.mean_annotated == pytest.approx(4 / 3)
    assert train.mean_confidence == pytest.approx(6.5 / 7)
    assert train.labels_by_rule == {Rule.ANCESTOR: 3, Rule.ANNOTATED: 4}
    assert train.labels_by_source == {
        Source.IMAGENET: 4,
        Source.OPEN_IMAGES_HUMAN: 2,
        Source.OPEN_IMAGES_MACHINE: 1,
    }


def test_rule_by_source():
    train = counted(ONE_DOG, DOG_AND_CAT)
    of_annotated = train.rule_sources[Rule.ANNOTATED]
    assert of_annotated[Source.IMAGENET] == 1
    assert of_annotated[Source.OPEN_IMAGES_HUMAN] == 1
    assert of_annotated[Source.OPEN_IMAGES_MACHINE] == 1
    assert train.rule_sources[Rule.ANCESTOR].sum() == 2


def test_co_occurrence_pairs():
    train = counted(CHAIR_WITH_DOG, ONE_DOG, CHAIR_WITH_DOG)
    assert train.added_by_pair == {(CHAIR, DOG): 2}
    assert train.top_pairs() == [(CHAIR, DOG, 2)]


def test_top_pairs_most_labels_first():
    train = Statistics(4)
    train.added_by_pair.update({(3, 1): 2, (0, 1): 5, (1, 3): 2})
    assert train.top_pairs(2) == [(0, 1, 5), (1, 3, 2)]


def test_classes_above_is_strict():
    train = counted(ONE_DOG, ONE_DOG, DOG_AND_CAT)
    assert train.classes_above(0) == 3
    assert train.classes_above(1) == 2
    assert train.classes_above(3) == 0


def test_an_image_without_labels_counts():
    train = counted([], ONE_DOG, [])
    assert (train.images, train.labels) == (3, 2)
    assert train.labels_per_image == {0: 2, 2: 1}
    assert train.annotated_per_image == {0: 2, 1: 1}


@pytest.mark.parametrize("batch", [labels(), labels([])])
def test_no_labels(batch):
    train = Statistics(4).add(batch)
    assert train.images == len(batch)
    assert (train.mean_labels, train.mean_annotated) == (0.0, 0.0)
    assert train.mean_confidence == 0.0


def test_rows_that_begin_inside_the_columns():
    whole = labels(ONE_DOG, DOG_AND_CAT)
    second = Labels(
        whole.row_splits[1:],
        whole.ids,
        whole.confidences,
        whole.rules,
        whole.parents,
        whole.sources,
    )
    expected = counted(DOG_AND_CAT).to_dict()
    assert Statistics(4).add(second).to_dict() == expected


def test_merge_equals_one_pass():
    whole = counted(ONE_DOG, DOG_AND_CAT, CHAIR_WITH_DOG).to_dict()
    one, rest = counted(ONE_DOG), counted(DOG_AND_CAT, CHAIR_WITH_DOG)
    assert counted(ONE_DOG).merge(rest).to_dict() == whole
    assert rest.merge(one).to_dict() == whole


def test_survives_a_worker_boundary():
    train = counted(ONE_DOG, DOG_AND_CAT, CHAIR_WITH_DOG)
    sent = json.loads(json.dumps(train.to_dict()))
    back = Statistics.from_dict(sent)
    assert back.to_dict() == train.to_dict()
    assert back.labels_per_image == train.labels_per_image
    assert back.mean_confidence == train.mean_confidence
    empty = json.dumps(Statistics(11166).to_dict())
    assert len(empty) < 500
    assert Statistics.from_dict(json.loads(empty)).images == 0


def of_sources(**labels):
    return {source.name.lower(): 0 for source in Source} | labels


def test_json_of_a_split(vocabulary):
    content = counted(ONE_DOG, DOG_AND_CAT, CHAIR_WITH_DOG).to_json(vocabulary)
    human, machine = "open_images_human", "open_images_machine"
    assert content == {
        "images": 3,
        "labels": 8,
        "labels_per_image_mean": 2.666667,
        "labels_per_image": {"2": 1, "3": 2},
        "annotated_per_image_mean": 1.333333,
        "annotated_per_image": {"1": 2, "2": 1},
        "confidence_mean": 0.9375,
        "labels_by_rule": {
            "annotated": 4,
            "ancestor": 3,
            "co_occurrence": 1,
            "parent": 0,
        },
        "labels_by_source": of_sources(
            imagenet=2, **{human: 2, machine: 1}, csv=3
        ),
        "labels_by_rule_and_source": {
            "annotated": of_sources(
                imagenet=1, **{human: 1, machine: 1}, csv=1
            ),
            "ancestor": of_sources(imagenet=1, **{human: 1}, csv=1),
            "co_occurrence": of_sources(csv=1),
            "parent": of_sources(),
        },
        "classes_with_images": 4,
        "images_per_class": {
            "n00015388": 3,
            "n02084071": 3,
            "n02121620": 1,
            "n03001627": 1,
        },
        "annotated_images_per_class": {
            "n02084071": 2,
            "n02121620": 1,
            "n03001627": 1,
        },
        "co_occurrence_pairs": [
            {"class": "n03001627", "adds": "n02084071", "labels": 1}
        ],
    }


def test_json_of_a_data_set(vocabulary):
    splits = {
        "validation": counted(ONE_DOG),
        "train": counted(ONE_DOG, DOG_AND_CAT),
    }
    rejected = {"malformed_row": 4, "broken_image": 2, "empty_file": 1}
    content = page.to_json(splits, vocabulary, rejected, trainable_above=1)
    assert content["images"] == 3
    # A malformed row is no image.
    assert (content["images_in"], content["images_rejected"]) == (6, 3)
    assert content["rejected"] == rejected
    assert list(content["rejected"]) == sorted(rejected)
    assert content["rejected_total"] == 7
    assert content["trainable_classes"] == 2
    assert list(content["splits"]) == ["train", "validation"]


def test_trainable_means_more_than_100(vocabulary):
    train = Statistics(4)
    train.class_rules[:, Rule.ANNOTATED] = [400, 101, 100, 0]
    train.class_rules[:, Rule.ANCESTOR] = [100, 0, 0, 0]
    content = page.to_json({"train": train}, vocabulary)
    assert content["trainable_classes"] == 2


def test_write_and_load(tmp_path, vocabulary):
    splits = {"train": counted(ONE_DOG, DOG_AND_CAT)}
    folder = tmp_path / dataset_folder.STATISTICS
    paths = page.write(splits, folder, vocabulary, {"broken_image": 1})
    assert [p.name for p in paths] == [
        "statistics.json",
        "images_per_class.png",
        "labels_per_image.png",
        "index.html",
    ]
    assert json.loads(paths[0].read_text())["rejected"] == {"broken_image": 1}
    for path in paths[1:3]:
        assert path.read_bytes().startswith(b"\x89PNG")
    counts = statistics.load_images_per_class(tmp_path, "train", vocabulary)
    np.testing.assert_array_equal(counts, [2, 2, 1, 0])
    assert counts.dtype == np.int64


def test_write_is_deterministic(tmp_path, vocabulary):
    splits = {"train": counted(ONE_DOG), "validation": Statistics(4)}
    first = page.write(splits, tmp_path / "a", vocabulary)
    second = page.write(splits, tmp_path / "b", vocabulary)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_write_without_any_image(tmp_path, vocabulary):
    for path in page.write({}, tmp_path, vocabulary):
        assert path.stat().st_size > 0


def test_load_refuses(tmp_path, vocabulary):
    with pytest.raises(InputError, match="no such file.*tagforest dataset"):
        statistics.load_images_per_class(tmp_path, "train", vocabulary)
    page.write({"train": counted(ONE_DOG)}, tmp_path / "statistics", vocabulary)
    with pytest.raises(InputError, match="no split 'validation'.*train"):
        statistics.load_images_per_class(tmp_path, "validation", vocabulary)
    other = Vocabulary([TagClass(0, "n00015388", "animal")])
    with pytest.raises(InputError, match="another vocabulary"):
        statistics.load_images_per_class(tmp_path, "train", other)
