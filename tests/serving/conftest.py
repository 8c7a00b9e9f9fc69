"""A small real model, exported once for all tests of serving."""

from __future__ import annotations

from functools import partial

import pytest

from serving.api import contract

WNIDS = ("n00001740", "n02084071", "n02121620", "own:bar_of_soap")
NAMES = ("entity", "dog, domestic dog", "cat, true cat", "soap")


def _make_tagger():
    import keras

    from beam_jobs.classes.hierarchy import Hierarchy
    from beam_jobs.classes.vocabulary import TagClass, Vocabulary
    from model.inputs.preprocessing import decode_and_resize
    from serving.saved_model.exportable import ExportableTagger

    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(len(WNIDS), kernel_initializer="normal")(pooled)

    return ExportableTagger(
        logits=keras.Model(images, logits),
        embed=keras.Model(images, pooled),
        preprocess=partial(decode_and_resize, image_size=32),
        image_size=32,
        vocabulary=Vocabulary(
            TagClass(i, w, n)
            for i, (w, n) in enumerate(zip(WNIDS, NAMES, strict=True))
        ),
        hierarchy=Hierarchy([(), (0,), (0,), (0,)]),
    )


@pytest.fixture(scope="session")
def tagger():
    return _make_tagger()


@pytest.fixture(scope="session")
def model_base(tagger, tmp_path_factory):
    from serving.saved_model.export import export_model

    base = tmp_path_factory.mktemp("models") / "tagforest"
    export_model(tagger, base, top_k=3)
    return base


@pytest.fixture(scope="session")
def versions_base(tmp_path_factory):
    """Versions 1, 2 and 3 that load fast, 9 that does not load.

    They answer image bytes with valid = true. Not to be changed.
    """
    import tensorflow as tf

    module = tf.Module()
    images = tf.TensorSpec([None], tf.string, contract.IMAGE_BYTES)
    signature = tf.function(
        lambda image_bytes: {contract.VALID: image_bytes != ""}, [images]
    ).get_concrete_function()
    base = tmp_path_factory.mktemp("versions") / "tagforest"
    for version in ("1", "2", "003"):
        tf.saved_model.save(module, str(base / version), signature)
    (base / "9").mkdir()
    return base


@pytest.fixture(scope="session")
def server(model_base):
    from serving.api.server_options import ServerOptions
    from serving.server.local_server import running_server

    options = ServerOptions(grpc_port=0, rest_port=0, poll_s=0.1)
    with running_server(model_base, options) as running:
        yield running


@pytest.fixture(scope="session")
def lists_base(tmp_path_factory):
    """Somebody else's model; see `tests.helpers.foreign_model`."""
    from tests.helpers.foreign_model import write_lists

    return write_lists(tmp_path_factory.mktemp("foreign") / "lists")


@pytest.fixture(scope="session")
def lists(lists_base):
    """Serves it, as `lists`."""
    from serving.api.server_options import ServerOptions
    from serving.server.local_server import running_server

    options = ServerOptions(name="lists", grpc_port=0, rest_port=0)
    with running_server(lists_base, options) as running:
        yield running


@pytest.fixture(scope="session")
def detector_base(tmp_path_factory):
    """Answers boxes; see `tests.helpers.task_models`."""
    from serving.saved_model.export import export_model
    from tests.helpers.task_models import detector

    base = tmp_path_factory.mktemp("detectors") / "tagforest"
    export_model(detector(), base)
    return base


@pytest.fixture(scope="session")
def segmenter_base(tmp_path_factory):
    """Answers masks; see `tests.helpers.task_models`."""
    from serving.saved_model.export import export_model
    from tests.helpers.task_models import segmenter

    base = tmp_path_factory.mktemp("segmenters") / "tagforest"
    export_model(segmenter(), base)
    return base


@pytest.fixture(scope="session")
def task_server(detector_base, segmenter_base, tmp_path_factory):
    """Serves both, as `boxes` and `masks`."""
    from serving.api.server_options import ServerOptions
    from serving.server.local_server import running_server

    rows = [("boxes", detector_base), ("masks", segmenter_base)]
    text = "".join(
        f'config {{ name: "{name}" base_path: "{base}" '
        'model_platform: "tensorflow" }'
        for name, base in rows
    )
    file = tmp_path_factory.mktemp("config") / "models.config"
    file.write_text(f"model_config_list {{ {text} }}")
    options = ServerOptions(grpc_port=0, rest_port=0, models_config=file)
    with running_server(None, options) as running:
        yield running
