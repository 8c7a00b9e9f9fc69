"""Tests of model.start.begin: trainings that start from another one."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model import workdir as files
from model.checkpoint_files import weights_file
from model.config import LossConfig, StartConfig
from model.inputs.input_pipeline import make_eval_dataset
from model.network.load_tagger import load_tagger
from model.network.tagger import Tagger
from model.start import begin
from model.training import schedules
from model.training.options import TrainOptions
from model.training.stop_requests import StopOnRequest
from model.training.train import train
from tests.helpers.configs import QUIET
from tests.helpers.datasets import CLASSES


class PowerCut(Exception):
    """Stands for the end of the process."""


@pytest.fixture(name="source", scope="module")
def fixture_source(tmp_path_factory, tiny_dataset, tiny_config):
    """Returns the workdir of a training."""
    folder = tmp_path_factory.mktemp("source")
    train(quiet(tiny_config()), tiny_dataset, folder)
    return folder


def quiet(config, **start):
    made = dataclasses.replace(config, logging=QUIET)
    return dataclasses.replace(made, start=StartConfig(**start))


def from_(source, config, **start):
    return quiet(config, source=str(source), **start)


def begun(config, dataset, workdir):
    """Returns an untrained tagger with the source's weights, and the lines."""
    tagger = Tagger(config, CLASSES)
    lines = list(begin.begin(tagger, begin.plan(config, dataset, workdir)))
    return tagger, lines


def arrays(variables):
    return [np.array(v) for v in variables]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_network_and_classes_begin_where_the_source_ended(
    source, tiny_config, tiny_dataset, tmp_path
):
    config = from_(source, tiny_config())
    tagger, lines = begun(config, tiny_dataset, tmp_path)
    expected = load_tagger(source)
    assert_equal(arrays(tagger.weights), arrays(expected.weights))
    assert f"of its head's {CLASSES} classes {CLASSES}, which" in lines[1]
    losses = []
    for model in (tagger, expected):
        model.compile(jit_compile=False)
        rows = make_eval_dataset(
            tiny_dataset, config.data, classes=CLASSES, batch_size=8
        )
        losses.append(model.evaluate(rows, verbose=0, return_dict=True))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_old_classes_keep_their_columns_and_new_ones_their_prior(
    source, tiny_config, tiny_dataset, tmp_path
):
    config = from_(source, tiny_config())
    start = begin.plan(config, tiny_dataset, tmp_path)
    # As if the data set had two of the source's classes, and others.
    start = dataclasses.replace(start, classes=(0, 3), places=(4, 1))
    tagger = Tagger(config, CLASSES)
    tagger.set_prior(np.array([24, 8, 8, 8, 0]), 24)
    before = arrays(tagger.head.weights)
    lines = list(begin.begin(tagger, start))
    theirs = load_tagger(source)
    new = [1, 2, 4]
    for mine, old, other in zip(
        arrays([*tagger.head.weights, tagger.runs]),
        [*before, np.zeros((2, CLASSES))],
        arrays([*theirs.head.weights, theirs.runs]),
        strict=True,
    ):
        np.testing.assert_array_equal(mine[..., [0, 3]], other[..., [4, 1]])
        np.testing.assert_array_equal(mine[..., new], old[..., new])
    assert "2, which the data set has; 3 new ones" in lines[1]


def test_the_backbone_alone(source, tiny_config, tiny_dataset, tmp_path):
    config = from_(source, tiny_config(), take="backbone")
    keras.utils.set_random_seed(5)
    tagger, lines = begun(config, tiny_dataset, tmp_path)
    theirs = load_tagger(source)
    assert_equal(
        arrays(tagger.backbone.weights), arrays(theirs.backbone.weights)
    )
    assert not np.array_equal(tagger.head.kernel, theirs.head.kernel)
    assert lines[1] == "its head is left, as start.take says"


def test_a_frozen_backbone_keeps_its_statistics_too(
    source, tiny_config, tiny_dataset, tmp_path, capsys
):
    config = from_(source, tiny_config(), freeze=("backbone",))
    train(config, tiny_dataset, tmp_path)
    assert "does not train: backbone" in capsys.readouterr().out
    tagger, theirs = load_tagger(tmp_path), load_tagger(source)
    assert_equal(
        arrays(tagger.backbone.weights), arrays(theirs.backbone.weights)
    )
    assert not np.array_equal(tagger.head.kernel, theirs.head.kernel)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lion", "muon"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_frozen_classes_keep_their_columns_and_others_learn(
    tiny_config, two_replicas, optimizer, replicas
):
    config = quiet(
        tiny_config(optimizer=optimizer, weight_decay=0.1),
        source="anything",
        freeze=("old_classes",),
    )
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        tagger = Tagger(config, CLASSES)
        tagger.keep_classes([1, 4])
        optimizer = schedules.make_optimizer(config.schedule, 3)
        optimizer.build(tagger.trainable_variables)
        tagger.compile(optimizer=optimizer, jit_compile=False)
    before = arrays(tagger.head.weights)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(24, 16, 16, 3)).astype(np.float32)
    targets = (rng.random((24, CLASSES)) < 0.4).astype(np.int8)
    rows = tf.data.Dataset.from_tensor_slices((images, targets)).batch(8)
    tagger.fit(rows, verbose=0)
    for mine, old in zip(arrays(tagger.head.weights), before, strict=True):
        np.testing.assert_array_equal(mine[..., [1, 4]], old[..., [1, 4]])
        assert (mine[..., [0, 2, 3]] != old[..., [0, 2, 3]]).all()


@pytest.mark.large
@pytest.mark.ci
def test_once_begun_it_goes_on_without_its_source(
    source, tiny_config, tiny_dataset, tmp_path, monkeypatch
):
    def cut(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 4:
            raise PowerCut

    copy = shutil.copytree(source, tmp_path / "copy")
    config = from_(copy, tiny_config(), freeze=("old_classes",))
    expected = train(config, tiny_dataset, tmp_path / "undisturbed")
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(StopOnRequest, "on_train_batch_end", cut)
        train(config, tiny_dataset, tmp_path / "cut")
    shutil.rmtree(copy)
    result = train(config, tiny_dataset, tmp_path / "cut")
    assert result.weights_sha256 == expected.weights_sha256


def test_another_source_is_another_training(
    source, tiny_config, tiny_dataset, tmp_path
):
    config = from_(source, tiny_config())
    train(config, tiny_dataset, tmp_path)
    said = json.loads((tmp_path / files.START).read_text())
    assert said["kind"] == "training"
    assert said["classes"] == list(range(CLASSES))
    with pytest.raises(InputError, match="start.source is '.*' there, None"):
        train(quiet(tiny_config()), tiny_dataset, tmp_path)


def test_a_source_that_changed_since_is_refused(
    source, tiny_config, tiny_dataset, tmp_path
):
    copy = shutil.copytree(source, tmp_path / "copy")
    config = from_(copy, tiny_config())
    start = begin.plan(config, tiny_dataset, tmp_path)
    with open(weights_file(copy), "ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="is not what the training was begun"):
        list(begin.begin(Tagger(config, CLASSES), start))


def test_another_network_is_refused_by_its_fields(
    source, tiny_config, tiny_dataset, tmp_path
):
    made = tiny_config()
    network = dataclasses.replace(made.network, filters=(16,), stem_kernel=5)
    config = from_(source, dataclasses.replace(made, network=network))
    wrong = (
        r"is of another network: network.filters is \(8,\) there, \(16,\) "
        r"here, network.stem_kernel is 3 there, 5 here; --config .*config.json"
    )
    with pytest.raises(InputError, match=wrong):
        train(config, tiny_dataset, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_class_in_common_is_refused(
    source, tiny_config, tiny_dataset, tmp_path
):
    copy = shutil.copytree(source, tmp_path / "copy")
    text = "index\twnid\tname\tstatus\n0\tn02084071\tdog\tactive\n"
    (copy / "vocabulary.tsv").write_text(text)
    with pytest.raises(InputError, match="have no class in common"):
        begin.plan(from_(copy, tiny_config()), tiny_dataset, tmp_path)
    begin.plan(
        from_(copy, tiny_config(), take="backbone"), tiny_dataset, tmp_path
    )


def test_a_head_learns_of_features_that_are_computed_once(
    source, tiny_config, tiny_dataset, tmp_path, capsys
):
    plain = dataclasses.replace(
        tiny_config(),
        # As the features are: the same without augmentation.
        data=dataclasses.replace(
            tiny_config().data,
            crop_area=(1.0, 1.0),
            crop_aspect=(1.0, 1.0),
            flip_probability=0.0,
            rotation_probability=0.0,
            colour_probability=0.0,
        ),
    )
    heads = []
    for cache in (False, True):
        folder = tmp_path / str(cache)
        config = from_(
            source, plain, freeze=("backbone",), cache_features=cache
        )
        train(config, tiny_dataset, folder)
        heads.append(arrays(load_tagger(folder).head.weights))
    assert "computing the features of 24 images" in capsys.readouterr().out
    for one, other in zip(*heads, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    cached = np.load(tmp_path / "True" / files.FEATURES)
    assert cached.shape == (24, 8)
    theirs = load_tagger(source)
    rows = make_eval_dataset(
        tiny_dataset, plain.data, classes=CLASSES, batch_size=24, split="train"
    )
    images, _ = next(iter(rows))
    np.testing.assert_allclose(theirs.embed(images), cached, rtol=1e-5)


def test_a_head_grows_and_leaves_the_rest_as_it_is(
    source, tiny_config, tiny_dataset, tmp_path
):
    copy = shutil.copytree(source, tmp_path / "copy")
    path = copy / "vocabulary.tsv"
    # The source knows another class where the data set has class 3.
    path.write_text(path.read_text().replace("n00000003", "n00000099"))
    config = from_(
        copy,
        tiny_config(),
        freeze=("backbone", "old_classes"),
        cache_features=True,
        zero_head=True,
    )
    train(config, tiny_dataset, tmp_path / "grown")
    grown, theirs = load_tagger(tmp_path / "grown"), load_tagger(source)
    assert_equal(
        arrays(grown.backbone.weights), arrays(theirs.backbone.weights)
    )
    old = [0, 1, 2, 4]
    for mine, before in zip(
        arrays(grown.head.weights), arrays(theirs.head.weights), strict=True
    ):
        np.testing.assert_array_equal(mine[..., old], before[..., old])
    rows = make_eval_dataset(
        tiny_dataset, config.data, classes=CLASSES, batch_size=6
    )
    images, targets = next(iter(rows))
    is_new = targets[:, 3] == 1
    # From a column of zeros, where all images score alike.
    logits = np.array(grown(images))[:, 3]
    assert logits[is_new].min() > logits[~is_new].max()


@pytest.mark.large
def test_two_workers_learn_of_the_same_features(
    source, tiny_config, tiny_dataset, tmp_path
):
    config = from_(
        source, tiny_config(), freeze=("backbone",), cache_features=True
    )
    results = [
        train(
            config,
            tiny_dataset,
            tmp_path / str(count),
            TrainOptions(local_workers=count),
        )
        for count in (1, 2)
    ]
    one, two = (load_tagger(tmp_path / str(count)) for count in (1, 2))
    assert results[0].steps == results[1].steps
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_nothing_to_train_is_refused(
    source, tiny_config, tiny_dataset, tmp_path
):
    config = from_(source, tiny_config(), freeze=("backbone", "old_classes"))
    with pytest.raises(InputError, match="nothing would train: the training"):
        begin.plan(config, tiny_dataset, tmp_path)


def test_a_head_of_many_classes_an_image_is_none_for_one(
    source, tiny_config, tiny_dataset, tmp_path
):
    softmax = dataclasses.replace(
        tiny_config(), loss=LossConfig(kind="softmax")
    )
    with pytest.raises(
        InputError, match="has the loss paper, this training so"
    ):
        begin.plan(from_(source, softmax), tiny_dataset, tmp_path)
    plain = from_(source, softmax, take="backbone")
    assert begin.plan(plain, tiny_dataset, tmp_path).classes == ()
