"""The layers of a model, those inside others too."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def leaves(model: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model that have no others in them."""
    for layer in _inner(model):
        if _inner(layer):
            yield from leaves(layer)
        else:
            yield layer


def _inner(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    if hasattr(layer, "layers"):
        return layer.layers
    # Of a layer that is no model Keras has no public name for them.
    return layer._flatten_layers(include_self=False, recursive=False)
