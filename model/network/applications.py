"""Backbones of keras.applications, for images in [-1, 1] like ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras import layers

from model.backbone_names import APPLICATIONS
from model.config import NetworkConfig


def build_application(config: NetworkConfig, image_size: int) -> keras.Model:
    """Returns the network from images to embeddings, with random weights.

    Input float32 [batch, image_size, image_size, 3] in [-1, 1]; output
    float32 [batch, filters], the average-pooled features. The network's own
    layers are those of the layer `application`.

    Raises:
        InputError: the images are too small for it.
    """
    images = keras.Input((image_size, image_size, 3), name="image")
    with policy(config.precision):
        network = getattr(keras.applications, config.backbone)(
            include_top=False,
            weights=None,
            input_shape=(image_size, image_size, 3),
            pooling="avg",
            name="application",
        )
        features = network(_scaled(images, APPLICATIONS[config.backbone]))
    # float32 whatever the network's precision, as ours.
    features = layers.Activation("linear", name="pool", dtype="float32")(
        features
    )
    return keras.Model(images, features, name="backbone")


def _scaled(images, mode: str):
    """Returns the pixels as the published weights want them."""
    if mode == "tf":
        return images
    pixels = layers.Rescaling(127.5, 127.5, name="pixels")(images)
    if mode == "own":
        return pixels
    return keras.applications.imagenet_utils.preprocess_input(pixels, mode=mode)


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Makes a dtype policy the global one meanwhile.

    The functions of keras.applications, and some of KerasHub, take none of
    their own.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
