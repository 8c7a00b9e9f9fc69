"""A small real model, exported once for all tests of serving."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

WNIDS = ("n00001740", "n02084071", "n02121620", "n04257986")
NAMES = ("entity", "dog, domestic dog", "cat, true cat", "soap")


def _picture(seed: int, size=(48, 40), form: str = "JPEG") -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _make_tagger(seed: int = 0):
    import keras
    import tensorflow as tf

    from beam_jobs.hierarchy import Hierarchy
    from beam_jobs.vocabulary import TagClass, Vocabulary
    from serving.signatures import ExportableTagger

    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(len(WNIDS), kernel_initializer="normal")(pooled)

    def preprocess(encoded):
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        image = tf.image.resize(tf.cast(image, tf.float32), (32, 32))
        return image / 127.5 - 1.0

    return ExportableTagger(
        logits=keras.Model(images, logits),
        embedding=keras.Model(images, pooled),
        preprocess=preprocess,
        image_size=32,
        vocabulary=Vocabulary(
            TagClass(i, w, n)
            for i, (w, n) in enumerate(zip(WNIDS, NAMES, strict=True))
        ),
        hierarchy=Hierarchy([(), (0,), (0,), (0,)]),
    )


@pytest.fixture(scope="session")
def picture():
    """picture(seed, size, form): an image file with random pixels."""
    return _picture


@pytest.fixture(scope="session")
def make_tagger():
    """make_tagger(seed): four classes, a tiny convolutional net."""
    return _make_tagger


@pytest.fixture(scope="session")
def tagger():
    return _make_tagger()


@pytest.fixture(scope="session")
def model_base(tagger, tmp_path_factory):
    from serving.export import export_tagger

    base = tmp_path_factory.mktemp("models") / "tagforest"
    export_tagger(tagger, base, top_k=3)
    return base
