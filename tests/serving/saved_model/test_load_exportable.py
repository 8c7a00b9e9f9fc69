"""Real detectors and segmenters, from a run to what is served."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import HIERARCHY, VOCABULARY
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.images.regions import read_mask
from model import workdir as files
from model.config import HeadConfig
from model.inputs import preprocessing
from model.network.load_tagger import load_model
from model.network.make_model import make_model
from model.network.segmenter import mask_of
from serving.api import contract
from serving.saved_model.export import export
from serving.saved_model.servable import Servable
from tests.helpers.images import noise_image
from tests.helpers.squares import NAMES, squares_config

pytestmark = [pytest.mark.large, pytest.mark.ci]


def write_run(folder, task):
    """Writes a run of random weights, whose scores are not all alike."""
    keras.utils.set_random_seed(3)
    config = squares_config()
    data = dataclasses.replace(
        config.data, framing="whole", rotation_probability=0.0
    )
    head = HeadConfig(task, filters=16, boxes=7)
    config = dataclasses.replace(config, data=data, head=head)
    model = make_model(config, len(NAMES))
    rng = np.random.default_rng(0)
    for weight in model.head.weights:
        noise = rng.normal(scale=0.1, size=weight.shape)
        weight.assign_add(noise.astype(np.float32))
    folder.mkdir()
    model.save_weights(folder / files.WEIGHTS)
    (folder / files.CONFIG).write_text(config.to_json())
    classes = Vocabulary(
        TagClass(i, f"own:{n}", n) for i, n in enumerate(NAMES)
    )
    classes.save(folder / VOCABULARY)
    Hierarchy([(), ()]).save(folder / HIERARCHY, classes)
    return folder


@pytest.fixture(name="images")
def fixture_images():
    return [noise_image(1, (50, 90)), noise_image(2, (64, 40))]


def seen(model, images):
    pixels = [preprocessing.decode(image) for image in images]
    size = model.config.data.image_size
    rows = [
        preprocessing.crop_and_resize(p, size, framing="whole") for p in pixels
    ]
    return np.stack(rows), [p.shape[:2] for p in pixels]


def test_boxes_are_in_pixels_of_each_image(tmp_path, images):
    run = write_run(tmp_path / "run", "detection")
    servable = Servable(export(run, tmp_path / "models"))
    found = servable.run(
        contract.DETECT,
        {contract.IMAGE_BYTES: np.array([*images, b"none"], object)},
    )
    assert found[contract.VALID].tolist() == [True, True, False]
    model = load_model(run)
    rows, sizes = seen(model, images)
    boxes, scores, classes = (v.numpy() for v in model.detect(rows))
    assert (classes[:, 0] >= 0).all()
    for i, (height, width) in enumerate(sizes):
        scale = np.array([height, width, height, width])
        np.testing.assert_allclose(
            found[contract.BOXES][i], boxes[i] * scale, atol=2e-3
        )
        np.testing.assert_allclose(
            found[contract.SCORE_VALUES][i], scores[i], atol=1e-5
        )
    assert not found[contract.SCORE_VALUES][2].any()


def test_masks_have_the_size_of_each_image(tmp_path, images):
    run = write_run(tmp_path / "run", "segmentation")
    servable = Servable(export(run, tmp_path / "models"))
    found = servable.run(
        contract.SEGMENT, {contract.IMAGE_BYTES: np.array(images, object)}
    )
    model = load_model(run)
    rows, sizes = seen(model, images)
    logits = model(rows)
    for i, (height, width) in enumerate(sizes):
        expected = mask_of(logits[i], height, width).numpy()
        mask = read_mask(found[contract.MASK][i])
        assert mask.shape == (height, width)
        assert (mask == expected).mean() > 0.999
        assert len(np.unique(expected)) > 1
