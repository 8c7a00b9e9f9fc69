"""A run of random weights with a calibration, and a data set of its classes."""

from __future__ import annotations

import pytest

from beam_jobs.classes import load_classes
from tests.helpers.configs import tiny_config
from tests.helpers.datasets import CLASSES, write_dataset


def write_calibration(folder, vocabulary, weights):
    import numpy as np

    from model.scores import tagging
    from model.scores.back_off import BackOff

    def rows(values):
        zeros = np.zeros(CLASSES, int)
        return BackOff(np.array(values), zeros, zeros - 1, zeros)

    calibration = rows([[1.0 + i / 4, i / 8 - 0.2] for i in range(CLASSES)])
    # The last class is never a tag.
    limits = [0.5, 0.45, 0.4, 0.5, float("inf")]
    thresholds = rows([[t, 1.0, 1.0] for t in limits])
    tagging.save(
        folder, vocabulary, calibration, thresholds, {"weights": weights}
    )


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """A data set of coloured squares."""
    return write_dataset(tmp_path_factory.mktemp("formats") / "dataset")


@pytest.fixture(scope="session")
def run_folder(squares, tmp_path_factory):
    """What a training would have left."""
    import keras

    from model import workdir as files
    from model.network.load_tagger import weights_fingerprint
    from model.network.make_model import make_model

    keras.utils.set_random_seed(3)
    config = tiny_config()
    model = make_model(config, CLASSES)
    folder = tmp_path_factory.mktemp("formats") / "run"
    folder.mkdir()
    model.save_weights(folder / files.WEIGHTS)
    (folder / files.CONFIG).write_text(config.to_json())
    vocabulary, hierarchy = load_classes.load_folder(squares)
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    write_calibration(folder, vocabulary, weights_fingerprint(model))
    return folder


@pytest.fixture(scope="session")
def small_tagger(run_folder):
    from serving.saved_model.load_exportable import load_exportable

    return load_exportable(run_folder)
