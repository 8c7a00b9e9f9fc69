from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from serving.api import contract
from serving.saved_model.doctor import examine
from serving.saved_model.segment_signatures import SegmentSignatures
from serving.saved_model.servable import Servable
from tests.helpers.images import encode
from tests.helpers.records import Record, to_example
from tests.helpers.task_models import segmenter

NAMES = [b"background", b"dog", b"cat"]


@pytest.fixture(scope="module")
def servable(segmenter_base):
    return Servable(segmenter_base / "1")


def run(servable, images, signature=contract.SEGMENT):
    (name,) = servable.signatures[signature].inputs
    return servable.run(signature, {name: np.array(images, object)})


def halves(height: int, width: int) -> bytes:
    """Returns a PNG, red on the left half and green on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 1] = 255
    return encode(pixels)


def black() -> bytes:
    return encode(np.zeros((5, 9, 3), np.uint8))


def mask(png: bytes) -> np.ndarray:
    decoded = tf.io.decode_png(png).numpy()
    assert decoded.shape[2] == 1
    return decoded[..., 0]


def test_masks_have_the_size_of_the_image_that_was_sent(servable):
    found = run(servable, [halves(10, 40), black(), halves(64, 6)])
    left = np.repeat([[1] * 20 + [2] * 20], 10, axis=0)
    np.testing.assert_array_equal(mask(found["mask_bytes"][0]), left)
    np.testing.assert_array_equal(
        mask(found["mask_bytes"][1]), np.zeros((5, 9))
    )
    assert mask(found["mask_bytes"][2]).shape == (64, 6)
    shares = [[0, 0.5, 0.5], [1, 0, 0], [0, 0.5, 0.5]]
    assert found["shares"].tolist() == shares
    assert found["names"].tolist() == [NAMES] * 3
    assert found["wnids"][0].tolist() == [b"", b"n02084071", b"n02121620"]
    assert found["valid"].all() and set(found["model_version"]) == {b"s1"}


def test_the_default_signature_and_records_answer_the_same(servable):
    images = [halves(10, 40)]
    examples = [to_example(Record("x/1", images[0], 10, 40))]
    expected = run(servable, images)
    for found in (
        run(servable, images, contract.TAGS),
        run(servable, examples, contract.TF_EXAMPLE),
    ):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_a_bad_image_never_touches_its_neighbours(servable):
    good = halves(10, 40)
    found = run(servable, [b"", good, good[:50]])
    assert found["valid"].tolist() == [False, True, False]
    assert found["mask_bytes"][[0, 2]].tolist() == [b"", b""]
    assert set(found["names"][[0, 2]].ravel()) == {b""}
    assert not found["shares"][[0, 2]].any()
    assert found["shares"][1].tolist() == [0, 0.5, 0.5]
    empty = run(servable, [])
    assert empty["mask_bytes"].shape == (0,)
    assert empty["shares"].shape == (0, 3)


def test_the_graph_answers_the_same_in_a_plain_session(
    segmenter_base, servable
):
    """TensorFlow Serving runs the graph this way."""
    images = [halves(10, 40), b"broken"]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(
            session, ["serve"], str(segmenter_base / "1")
        )
        signature = graph.signature_def["serving_default"]
        found = session.run(
            {k: v.name for k, v in signature.outputs.items()},
            {signature.inputs["image_bytes"].name: images},
        )
    served = run(servable, images)
    assert found["mask_bytes"].tolist() == served["mask_bytes"].tolist()


def test_difference(servable):
    model = segmenter()
    images = [black(), halves(10, 40)]

    def difference(bias) -> float:
        def logits(pixels):
            return model.logits(pixels) + bias

        changed = dataclasses.replace(model, logits=logits)
        return SegmentSignatures(changed).difference(servable, images)

    assert difference([0.0, 0.0, 0.0]) == 0
    # All is a cat: the half that was a dog is another, and all that was none.
    assert difference([0.0, 0.0, 9.0]) == 1
    images = images[1:]
    assert difference([0.0, 0.0, 9.0]) == 0.5
    images = [b"?"]
    assert difference([0.0, 0.0, 0.0]) == np.inf


def test_doctor_and_assets(segmenter_base):
    assert examine(segmenter_base) == []
    card = (segmenter_base / "1" / "assets" / "model_card.md").read_text()
    assert "- task: segmentation" in card
