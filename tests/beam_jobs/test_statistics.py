import json
import pickle

import numpy as np
import pytest

from beam_jobs import layout, statistics
from beam_jobs.errors import InputError
from beam_jobs.records import Rule, Source
from beam_jobs.statistics import Statistics
from beam_jobs.vocabulary import TagClass, Vocabulary

ANIMAL, DOG, CAT, CHAIR = range(4)


@pytest.fixture
def vocabulary():
    names = ("animal", "dog", "cat", "chair")
    wnids = ("n00015388", "n02084071", "n02121620", "n03001627")
    return Vocabulary(
        TagClass(i, w, n)
        for i, (w, n) in enumerate(zip(wnids, names, strict=True))
    )


def dog(counts):
    return counts.add(
        [ANIMAL, DOG],
        [Rule.ANCESTOR, Rule.ANNOTATED],
        [Source.IMAGENET, Source.IMAGENET],
    )


def dog_and_cat(counts):
    return counts.add(
        [ANIMAL, DOG, CAT],
        [Rule.ANCESTOR, Rule.ANNOTATED, Rule.ANNOTATED],
        [
            Source.OPEN_IMAGES_HUMAN,
            Source.OPEN_IMAGES_HUMAN,
            Source.OPEN_IMAGES_MACHINE,
        ],
    )


def test_counts():
    train = dog_and_cat(dog(dog(Statistics(4))))
    assert train.images == 3
    assert train.images_per_class.tolist() == [3, 3, 1, 0]
    assert train.labels_per_image == {2: 2, 3: 1}
    assert train.labels == 7
    assert train.mean_labels == pytest.approx(7 / 3)
    assert train.labels_by_rule == {Rule.ANCESTOR: 3, Rule.ANNOTATED: 4}
    assert train.labels_by_source == {
        Source.IMAGENET: 4,
        Source.OPEN_IMAGES_HUMAN: 2,
        Source.OPEN_IMAGES_MACHINE: 1,
    }


def test_classes_above_is_strict():
    train = dog_and_cat(dog(dog(Statistics(4))))
    assert train.classes_above(0) == 3
    assert train.classes_above(1) == 2
    assert train.classes_above(3) == 0


def test_an_image_without_labels_counts():
    train = Statistics(4).add([], [], [])
    assert (train.images, train.labels, train.mean_labels) == (1, 0, 0.0)
    assert train.labels_per_image == {0: 1}


def test_no_images():
    assert Statistics(4).mean_labels == 0.0


def test_merge_equals_one_pass(vocabulary):
    parts = dog(Statistics(4)).merge(dog_and_cat(Statistics(4)))
    whole = dog_and_cat(dog(Statistics(4)))
    other_way = dog_and_cat(Statistics(4)).merge(dog(Statistics(4)))
    expected = whole.to_json(vocabulary)
    assert parts.to_json(vocabulary) == expected
    assert other_way.to_json(vocabulary) == expected


def test_survives_a_worker_boundary(vocabulary):
    train = dog_and_cat(Statistics(4))
    copy = pickle.loads(pickle.dumps(train))
    assert copy.to_json(vocabulary) == train.to_json(vocabulary)
    assert len(pickle.dumps(Statistics(11166))) < 100_000


def test_json_of_a_split(vocabulary):
    assert dog_and_cat(dog(Statistics(4))).to_json(vocabulary) == {
        "images": 2,
        "labels": 5,
        "labels_per_image_mean": 2.5,
        "labels_per_image": {"2": 1, "3": 1},
        "labels_by_rule": {"annotated": 3, "ancestor": 2},
        "labels_by_source": {
            "imagenet": 2,
            "open_images_human": 2,
            "open_images_machine": 1,
        },
        "classes_with_images": 3,
        "images_per_class": {
            "n00015388": 2,
            "n02084071": 2,
            "n02121620": 1,
        },
    }


def test_json_of_a_data_set(vocabulary):
    splits = {
        "validation": dog(Statistics(4)),
        "train": dog_and_cat(dog(Statistics(4))),
    }
    content = statistics.to_json(
        splits, vocabulary, {"truncated": 2, "duplicate": 1}, trainable_above=1
    )
    assert content["images"] == 3
    assert content["rejected"] == {"duplicate": 1, "truncated": 2}
    assert content["rejected_total"] == 3
    assert content["trainable_classes"] == 2
    assert list(content["splits"]) == ["train", "validation"]


def test_trainable_means_more_than_100(vocabulary):
    train = Statistics(4)
    train.images_per_class[:] = [500, 101, 100, 0]
    content = statistics.to_json({"train": train}, vocabulary)
    assert content["trainable_classes"] == 2


def test_write_and_load(tmp_path, vocabulary):
    splits = {"train": dog_and_cat(dog(Statistics(4)))}
    folder = tmp_path / layout.STATISTICS
    paths = statistics.write(splits, folder, vocabulary, {"truncated": 1})
    assert [p.name for p in paths] == [
        "statistics.json",
        "images_per_class.png",
        "labels_per_image.png",
    ]
    assert json.loads(paths[0].read_text())["rejected"] == {"truncated": 1}
    for path in paths[1:]:
        assert path.read_bytes().startswith(b"\x89PNG")
    counts = statistics.load_images_per_class(tmp_path, "train", vocabulary)
    np.testing.assert_array_equal(counts, [2, 2, 1, 0])
    assert counts.dtype == np.int64


def test_write_is_deterministic(tmp_path, vocabulary):
    splits = {"train": dog(Statistics(4)), "validation": Statistics(4)}
    first = statistics.write(splits, tmp_path / "a", vocabulary)
    second = statistics.write(splits, tmp_path / "b", vocabulary)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_write_without_any_image(tmp_path, vocabulary):
    for path in statistics.write({}, tmp_path, vocabulary):
        assert path.stat().st_size > 0


def test_load_refuses(tmp_path, vocabulary):
    with pytest.raises(InputError, match="no such file.*tagforest dataset"):
        statistics.load_images_per_class(tmp_path, "train", vocabulary)
    statistics.write(
        {"train": dog(Statistics(4))}, tmp_path / "statistics", vocabulary
    )
    with pytest.raises(InputError, match="no split 'validation'.*train"):
        statistics.load_images_per_class(tmp_path, "validation", vocabulary)
    other = Vocabulary([TagClass(0, "n00015388", "animal")])
    with pytest.raises(InputError, match="another vocabulary"):
        statistics.load_images_per_class(tmp_path, "train", other)
