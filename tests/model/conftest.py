"""Fixtures: two replicas, a data set of coloured squares, a config for it."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tests.helpers import configs
from tests.helpers.datasets import write_dataset

# Before any test: TensorFlow fixes its devices when it is first used.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


@pytest.fixture(name="two_replicas", scope="session")
def fixture_two_replicas():
    """Returns a strategy of two logical CPU devices.

    One for all tests: a second would use the keys of the first's collectives.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(name="tiny_config", scope="session")
def fixture_tiny_config():
    """Returns the function that makes a config."""
    return configs.tiny_config


@pytest.fixture(name="tiny_dataset", scope="session")
def fixture_tiny_dataset(tmp_path_factory):
    """Returns a data set of 24 images, written once."""
    return write_dataset(tmp_path_factory.mktemp("tiny") / "dataset")
