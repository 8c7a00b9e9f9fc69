from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from serving.api import contract
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.detect_signatures import DetectSignatures
from serving.saved_model.doctor import examine
from serving.saved_model.servable import Servable
from serving.tfserving.options import TfServingSetup
from serving.tfserving.setup import write_setup
from tests.helpers.commands import run as command
from tests.helpers.images import encode, noise_image
from tests.helpers.records import Record, to_example
from tests.helpers.task_models import detector


@pytest.fixture(scope="module")
def servable(detector_base):
    return Servable(detector_base / "1")


def run(servable, images, signature=contract.DETECT):
    (name,) = servable.signatures[signature].inputs
    return servable.run(signature, {name: np.array(images, object)})


def flat(red: int, green: int, height: int, width: int) -> bytes:
    """Returns a PNG of one colour."""
    return encode(np.full((height, width, 3), (red, green, 0), np.uint8))


def test_boxes_are_in_pixels_of_the_image_that_was_sent(servable):
    found = run(servable, [flat(255, 51, 20, 60), flat(51, 102, 33, 7)])
    np.testing.assert_allclose(
        found["boxes"],
        [
            [[0, 0, 20, 30], [10, 0, 20, 60], [0, 0, 0, 0]],
            [[16.5, 0, 33, 7], [0, 0, 33, 3.5], [0, 0, 0, 0]],
        ],
        atol=1e-5,
    )
    scores = [[1, 0.2, 0], [0.4, 0.2, 0]]
    np.testing.assert_allclose(found["scores"], scores, atol=1e-6)
    dog, cat = b"dog", b"cat"
    assert found["names"].tolist() == [[dog, cat, b""], [cat, dog, b""]]
    assert found["wnids"][0].tolist() == [b"n02084071", b"n02121620", b""]
    assert found["valid"].tolist() == [True, True]
    assert found["model_version"].tolist() == [b"d1"] * 2


def test_the_default_signature_and_records_answer_the_same(servable):
    images = [noise_image(1), noise_image(2, (20, 90), "PNG")]
    examples = [
        to_example(Record(f"x/{n}", image, 48, 40))
        for n, image in enumerate(images)
    ]
    expected = run(servable, images)
    for found in (
        run(servable, images, contract.TAGS),
        run(servable, examples, contract.TF_EXAMPLE),
    ):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_a_bad_image_never_touches_its_neighbours(servable):
    good = flat(255, 51, 20, 60)
    found = run(servable, [b"", good, b"no image", good[:60], good])
    assert found["valid"].tolist() == [False, True, False, False, True]
    alone = run(servable, [good])
    for name in ("boxes", "scores", "names", "wnids"):
        np.testing.assert_array_equal(found[name][[1, 4]], alone[name][[0, 0]])
    bad = [0, 2, 3]
    assert not found["boxes"][bad].any() and not found["scores"][bad].any()
    assert {*found["names"][bad].ravel(), *found["wnids"][bad].ravel()} == {b""}
    empty = run(servable, [])
    assert empty["boxes"].shape == (0, 3, 4)
    assert empty["names"].shape == (0, 3)


def test_limits_are_checked_before_decoding():
    limited = DetectSignatures(detector(), ImageLimits(max_pixels=1000))
    images = [flat(9, 9, 20, 50), flat(9, 9, 20, 51)]
    found = limited.detect(tf.constant(images))
    assert found["valid"].numpy().tolist() == [True, False]


def test_embedding(servable):
    found = run(servable, [flat(255, 0, 8, 8), b"?"], contract.EMBEDDING)
    np.testing.assert_allclose(
        found["embedding"], [[1, -1, -1], [0, 0, 0]], atol=1e-5
    )


def test_boxes_beyond_the_image_are_cut():
    def detect(images):
        rows = tf.shape(images)[0]
        boxes = tf.tile([[[-0.5, 0.25, 0.5, 1.5]]], [rows, 1, 1])
        return boxes, tf.ones([rows, 1]), tf.ones([rows, 1], tf.int32)

    model = dataclasses.replace(detector(), detect=detect)
    found = DetectSignatures(model).detect(tf.constant([flat(0, 0, 20, 60)]))
    assert found["boxes"].numpy().tolist() == [[[0, 15, 10, 60]]]


def test_difference(servable):
    model = detector()
    images = [flat(255, 51, 20, 60), flat(51, 102, 33, 7)]

    def difference(change) -> float:
        def detect(pixels):
            return change(*model.detect(pixels))

        changed = dataclasses.replace(model, detect=detect)
        return DetectSignatures(changed).difference(servable, images)

    assert difference(lambda *same: same) < 1e-6
    assert difference(lambda b, s, c: (b, s + 0.25, c)) == pytest.approx(0.25)
    moved = difference(lambda b, s, c: (b + 0.125, s, c))
    assert moved == pytest.approx(0.125, abs=1e-5)
    assert difference(lambda b, s, c: (b, s, 1 - c)) == 1
    # Of equal scores either may come first.
    images = [flat(51, 51, 9, 9)]
    assert difference(lambda b, s, c: (b[:, ::-1], s, c)) < 1e-6
    images = [b"?"]
    assert difference(lambda *same: same) == np.inf


def test_doctor_and_assets(detector_base, tmp_path):
    assert examine(detector_base) == []
    write_setup(tmp_path, TfServingSetup(detector_base, labels={"stable": 1}))
    done = command("doctor", detector_base, "--setup", tmp_path)
    assert "can be served" in done.stdout
    assets = detector_base / "1" / "assets"
    assert not (assets / "thresholds.tsv").exists()
    card = (assets / "model_card.md").read_text()
    assert "- task: detection" in card
    assert "the whole image, resized to 16 x 16" in card
    assert "Calibration" not in card
