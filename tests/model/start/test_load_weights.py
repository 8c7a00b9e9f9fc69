"""The import of released checkpoints, against a graph of its own."""

import dataclasses

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import Config, DataConfig, NetworkConfig
from model.network.tagger import Tagger
from model.start import load_weights, released_names, sources
from tests.helpers.released_graph import ReleasedGraph

CLASSES, SIZE = 7, 64


@pytest.fixture(name="graph", scope="module")
def fixture_graph(tmp_path_factory):
    """Returns prefix, images, features and logits of a small one."""
    prefix = tmp_path_factory.mktemp("released") / "model.ckpt"
    images = pixels(4, SIZE)
    made = ReleasedGraph().save(prefix, images, CLASSES, training=True)
    return prefix, images, *made


def pixels(count, size):
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


def imported(prefix, size=SIZE, **changes):
    """Returns a tagger with the weights, of a network with changes."""
    source = sources.find(str(prefix))
    network, shapes = load_weights.released_network(source)
    weights = load_weights.load(source, network)
    config = Config(
        network=dataclasses.replace(network, **changes),
        data=DataConfig(image_size=size),
    )
    tagger = Tagger(config, weights.bias.size)
    for variable in tagger.backbone.weights:
        variable.assign(weights.backbone[load_weights.name_of(variable)])
    tagger.head.set_weights([weights.kernel, weights.bias])
    return tagger, weights


def difference(found, expected):
    """Returns the largest one, of the expected values' scale."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_features_and_logits_are_those_of_the_graph(graph):
    prefix, images, features, logits = graph
    tagger, weights = imported(prefix)
    assert difference(tagger.embed(images), features) < 1e-5
    assert difference(tagger(images), logits) < 1e-5
    # The state of its training is left without a word.
    assert not weights.left


def test_the_network_is_read_from_the_shapes(graph):
    network, _ = load_weights.released_network(sources.find(str(graph[0])))
    assert network == NetworkConfig(
        blocks=(1, 2, 1, 1),
        filters=(16, 32, 64, 128),
        batch_norm_momentum=0.997,
        batch_norm_epsilon=1e-5,
    )


def test_the_wrong_epsilon_is_told_apart(graph):
    prefix, images, features, _ = graph
    tagger, _ = imported(prefix, batch_norm_epsilon=1e-3)
    assert difference(tagger.embed(images), features) > 1e-4


def test_blue_first_is_told_apart(graph):
    prefix, images, features, _ = graph
    tagger, _ = imported(prefix)
    assert difference(tagger.embed(images[..., ::-1]), features) > 1e-2


def test_swapped_normalizations_are_told_apart(graph):
    prefix, images, features, _ = graph
    tagger, _ = imported(prefix)
    block = "stage1_block1"
    one, other = (
        tagger.backbone.get_layer(f"{block}_{name}_bn")
        for name in ("1", "shortcut")
    )
    kept = one.get_weights()
    one.set_weights(other.get_weights())
    other.set_weights(kept)
    assert difference(tagger.embed(images), features) > 1e-2


def test_every_weight_of_the_101_layers_has_a_name():
    names = released_names.released_names(NetworkConfig())
    # Of 522 variables the head has two.
    assert len(names) == len(set(names.values())) == 520


@pytest.mark.large
@pytest.mark.parametrize("classes", [1000, 11166])
def test_the_101_layers_are_those_of_the_graph(tmp_path, classes):
    graph = ReleasedGraph((3, 4, 23, 3), (256, 512, 1024, 2048))
    images = pixels(1, 224)
    features, logits = graph.save(tmp_path / "resnet.ckpt", images, classes)
    tagger, _ = imported(tmp_path / "resnet.ckpt", 224)
    assert difference(tagger.embed(images), features) < 1e-5
    assert difference(tagger(images), logits) < 1e-5


def test_another_network_is_refused(graph):
    source = sources.find(str(graph[0]))
    with pytest.raises(InputError, match="is of another network: network.blo"):
        load_weights.load(source, NetworkConfig(batch_norm_epsilon=1e-5))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    for name in ("a.index", "a.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"no checkpoint")
    source = sources.find(str(tmp_path / "a"))
    with pytest.raises(InputError, match="a cannot be read"):
        load_weights.load(source, NetworkConfig())


@pytest.mark.parametrize(
    ("name", "scaled"),
    [
        ("MobileNetV2", lambda x: x),
        ("MobileNetV3Small", lambda x: 127.5 * x + 127.5),
        # Blue first, less the mean of ImageNet's pixels.
        (
            "VGG16",
            lambda x: (
                (127.5 * x + 127.5)[..., ::-1]
                - np.array([103.939, 116.779, 123.68], np.float32)
            ),
        ),
    ],
)
def test_a_network_of_keras_applications_has_its_own_features(
    tmp_path, name, scaled
):
    keras.utils.set_random_seed(3)
    theirs = getattr(keras.applications, name)(
        include_top=False,
        weights=None,
        pooling="avg",
        input_shape=(SIZE, SIZE, 3),
    )
    theirs.save_weights(tmp_path / "a.weights.h5")
    network = NetworkConfig(backbone=name)
    source = sources.find(str(tmp_path / "a.weights.h5"))
    weights = load_weights.load(source, network)
    config = Config(network=network, data=DataConfig(image_size=SIZE))
    tagger = Tagger(config, 3)
    for variable in tagger.backbone.weights:
        variable.assign(weights.backbone[load_weights.name_of(variable)])
    images = pixels(2, SIZE)
    assert difference(tagger.embed(images), theirs(scaled(images))) < 1e-5


def test_a_weights_file_needs_the_name_of_its_network(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no weights")
    source = sources.find(str(tmp_path / "a.h5"))
    with pytest.raises(InputError, match="name it with --set network.backbone"):
        sources.check_network(source, NetworkConfig())
    with pytest.raises(InputError, match="does not fit MobileNetV2 without"):
        load_weights.load(source, NetworkConfig(backbone="MobileNetV2"))
