"""Tests of model.network.leaf_layers."""

import keras

from model.network.leaf_layers import leaves


class Block(keras.layers.Layer):
    """Normalizes, then drops: KerasHub's blocks are of this kind."""

    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.dropout = keras.layers.Dropout(0.5, name="dropout")

    def call(self, x):
        return self.dropout(self.norm(x))


def test_leaves_are_found_in_layers_that_have_some():
    inner = keras.Sequential([Block(), keras.layers.Dense(1, name="dense")])
    found = [la.name for la in leaves(keras.Sequential([inner]))]
    assert found == ["norm", "dropout", "dense"]
