"""Tests of model.transfer.classification, by numbers of a hand."""

import json

import numpy as np
import tensorflow as tf

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from model.transfer import classification
from model.transfer.classification import Classification

VOCABULARY = Vocabulary(TagClass(i, f"own:{n}", n) for i, n in enumerate("abc"))
# Of three of a one is taken for b; of two of b both for c; c has none.
CONFUSION = np.array([[2, 1, 0], [0, 0, 2], [0, 0, 0]])
FOUND = Classification(5, 1, 0.4, 1.0, CONFUSION)


def test_ranks_and_confusion_are_counted():
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]])
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    confusion, hits = np.zeros((3, 3), np.int64), np.zeros(3, np.int64)
    classification.count(scores, targets, confusion, hits)
    # Of equal scores the lower class goes first.
    assert hits.tolist() == [1, 0, 2]
    assert confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_a_class_without_images_is_no_part_of_the_mean():
    np.testing.assert_allclose(FOUND.per_class, [2 / 3, 0, np.nan])
    assert FOUND.mean_per_class == 1 / 3


def test_ten_crops_are_the_middle_the_corners_and_their_mirrors():
    image = np.arange(25.0).reshape(1, 5, 5, 1)
    crops = [c.numpy() for c in classification._crops(tf.constant(image), 3)]
    assert [c[0, 0, 0, 0] for c in crops[::2]] == [6, 0, 2, 10, 12]
    for plain, mirrored in zip(crops[::2], crops[1::2], strict=True):
        np.testing.assert_array_equal(plain, mirrored[:, :, ::-1])


def test_files_say_what_was_found(tmp_path):
    paths = classification.save(FOUND, VOCABULARY, tmp_path)
    values = json.loads(paths[0].read_text())
    assert values["top_1"] == 0.4
    assert values["confused"] == [["b", "c", 2], ["a", "b", 1]]
    assert values["per_class"]["own:c"] == {
        "name": "c",
        "top_1": -1.0,
        "images": 0,
    }
    assert paths[1].read_bytes().startswith(b"\x89PNG")
