from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from model.inputs.preprocessing import decode_and_resize
from serving.api import contract
from serving.saved_model import export
from serving.saved_model.servable import Servable
from serving.saved_model.signatures import TagSignatures
from serving.saved_model.warmup import read_warmup, warmup_requests
from tests.helpers.commands import python
from tests.helpers.images import noise_image
from tests.helpers.records import Record, to_example

WNIDS = ("n00001740", "n02084071", "n02121620", "own:bar_of_soap")
NAMES = ("entity", "dog", "cat", "soap")


TAG_OUTPUTS = [
    *("is_tag", "leaf", "model_version", "names", "parents", "scores"),
    *("valid", "vocabulary_version", "wnids"),
]


@pytest.fixture(scope="module")
def servable(model_base):
    return Servable(model_base / "1")


def run(servable, signature, images):
    key = servable.signatures[signature].inputs
    return servable.run(signature, {next(iter(key)): np.array(images, object)})


def raw_scores(tagger, images):
    pixels = tf.stack([tagger.preprocess(tf.constant(i)) for i in images])
    return tf.math.sigmoid(tagger.logits(pixels)).numpy()


def expected_scores(tagger, images):
    """No parent, the first class, below a child."""
    scores = raw_scores(tagger, images)
    scores[:, 0] = scores.max(axis=1)
    return scores


def test_signatures_have_the_names_of_the_contract(servable):
    assert {
        name: (sorted(s.inputs), sorted(s.outputs))
        for name, s in servable.signatures.items()
    } == {
        "serving_default": (
            ["image_bytes"],
            TAG_OUTPUTS,
        ),
        "select": (
            [
                *("exclude", "image_bytes", "include", "max_labels"),
                *("min_confidence", "most_specific"),
            ],
            TAG_OUTPUTS,
        ),
        "scores": (["image_bytes"], ["raw_scores", "scores", "valid"]),
        "tf_example": (["examples"], ["raw_scores", "scores"]),
        "embedding": (["image_bytes"], ["embedding", "valid"]),
        "classify": (["inputs"], ["classes", "scores"]),
    }


def test_served_scores_are_the_models(servable, tagger):
    images = [noise_image(1), noise_image(2, (20, 90), "PNG")]
    served = run(servable, contract.SCORES, images)
    np.testing.assert_allclose(
        served["scores"], expected_scores(tagger, images), atol=1e-6
    )
    np.testing.assert_allclose(
        served["raw_scores"], raw_scores(tagger, images), atol=1e-6
    )


def test_tags_are_the_best_classes_best_first(servable, tagger):
    images = [noise_image(3)]
    scores = expected_scores(tagger, images)[0]
    best = np.argsort(-scores, kind="stable")[:3]
    tags = run(servable, contract.TAGS, images)
    assert [w.decode() for w in tags["wnids"][0]] == [WNIDS[i] for i in best]
    assert [n.decode() for n in tags["names"][0]] == [NAMES[i] for i in best]
    np.testing.assert_allclose(tags["scores"][0], scores[best], atol=1e-6)


def test_a_bad_image_never_touches_its_neighbours(servable):
    good = [noise_image(4), noise_image(5, form="PNG")]
    alone = run(servable, contract.TAGS, good)
    mixed = run(
        servable,
        contract.TAGS,
        [b"", good[0], b"not an image", good[1], good[0][:200]],
    )
    assert mixed["valid"].tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(
        mixed["scores"][[1, 3]], alone["scores"], rtol=1e-6
    )
    np.testing.assert_array_equal(mixed["names"][[1, 3]], alone["names"])
    assert set(mixed["names"][[0, 2, 4]].ravel()) == {b""}
    assert set(mixed["wnids"][[0, 2, 4]].ravel()) == {b""}
    assert not mixed["scores"][[0, 2, 4]].any()


def test_tf_example_scores_equal_image_scores(servable):
    images = [noise_image(6), noise_image(7)]
    examples = [
        to_example(Record(f"x/{n}", image, 48, 40))
        for n, image in enumerate(images)
    ]
    np.testing.assert_allclose(
        run(servable, contract.TF_EXAMPLE, examples)["scores"],
        run(servable, contract.SCORES, images)["scores"],
        rtol=1e-6,
    )


def test_the_difference_is_that_of_the_worst_score(servable, tagger):
    signatures = TagSignatures(tagger, 3)
    images = [noise_image(1), noise_image(2)]
    assert signatures.difference(servable, images) < 1e-6
    shifted = dataclasses.replace(tagger, logits=lambda i: tagger.logits(i) + 1)
    raw = raw_scores(tagger, images)
    moved = tf.math.sigmoid(np.log(raw / (1 - raw)) + 1).numpy() - raw
    found = TagSignatures(shifted, 3).difference(servable, images)
    assert found == pytest.approx(moved.max(), abs=1e-5)
    assert signatures.difference(servable, [images[0], b"?"]) == np.inf


def test_embedding(servable, tagger):
    image = noise_image(8)
    pixels = tagger.preprocess(tf.constant(image))[None]
    found = run(servable, contract.EMBEDDING, [image, b"?"])
    np.testing.assert_allclose(
        found["embedding"][0], tagger.embed(pixels)[0], atol=1e-6
    )
    assert found["valid"].tolist() == [True, False]
    assert not found["embedding"][1].any()


def test_no_mutated_image_raises(servable):
    rng = np.random.default_rng(0)
    seeds = [
        noise_image(1),
        noise_image(1, form="PNG"),
        noise_image(1, form="GIF"),
        noise_image(1, form="BMP"),
        noise_image(1, form="WEBP"),
    ]
    images = [mutate(seeds[n % 5], rng) for n in range(400)]
    found = run(servable, contract.TAGS, [*images, noise_image(1)])
    assert found["scores"].shape == (401, 3)
    assert np.isfinite(found["scores"]).all()
    assert found["valid"][-1]
    assert not found["valid"][:-1].all()


def mutate(image: bytes, rng) -> bytes:
    data = bytearray(image)
    kind = rng.integers(3)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    start = 0 if kind == 1 else min(30, len(data))
    for at in rng.integers(start, len(data), 20):
        data[at] = rng.integers(256)
    return bytes(data)


def png_that_claims(png: bytes, width: int, height: int) -> bytes:
    data = bytearray(png)
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(data)


def test_oversized_images_are_not_valid(servable):
    png = noise_image(1, form="PNG")
    images = [
        png_that_claims(png, 20_000, 20_000),
        png_that_claims(png, 2**31 - 1, 2**31 - 1),
        noise_image(1) + b"\0" * contract.MAX_IMAGE_BYTES,
        noise_image(1),
    ]
    found = run(servable, contract.SCORES, images)
    assert found["valid"].tolist() == [False, False, False, True]


def test_the_graph_answers_the_same_in_a_plain_session(model_base, servable):
    """TensorFlow Serving runs the graph this way."""
    images = [noise_image(1), b"broken", noise_image(2)]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(
            session, ["serve"], str(model_base / "1")
        )
        signature = graph.signature_def["serving_default"]
        found = session.run(
            {k: v.name for k, v in signature.outputs.items()},
            {signature.inputs["image_bytes"].name: images},
        )
    served = run(servable, contract.TAGS, images)
    assert found["valid"].tolist() == [True, False, True]
    assert found["names"].tolist() == served["names"].tolist()
    np.testing.assert_allclose(found["scores"], served["scores"], atol=1e-6)


def test_classify_names_the_best_classes(servable):
    images = [noise_image(1), b"broken"]
    tags = run(servable, contract.TAGS, images)
    feature = {
        "image/encoded": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=images[:1])
        )
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    rows = [example.SerializeToString(), b"broken"]
    found = run(servable, contract.CLASSIFY, rows)
    assert found["classes"].tolist() == tags["names"].tolist()
    np.testing.assert_allclose(found["scores"], tags["scores"], rtol=1e-6)
    assert found["classes"][1].tolist() == [b"", b"", b""]


_EMPTY = """
import json, sys
import numpy as np
from pathlib import Path
from serving.saved_model.servable import Servable
servable = Servable(Path(sys.argv[1]))
found = {}
for name, known in servable.signatures.items():
    inputs = {k: np.zeros(0, i.dtype) for k, i in known.inputs.items()}
    outputs = servable.run(name, inputs)
    found[name] = {k: list(v.shape) for k, v in outputs.items()}
print(json.dumps(found))
"""


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.parametrize("one_dnn", ["0", "1"])
def test_no_images_on_any_kernels(model_base, one_dnn, monkeypatch):
    # TensorFlow reads it when it is loaded: a process of its own.
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", one_dnn)
    done = python("-c", _EMPTY, str(model_base / "1"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name in ("serving_default", "select"):
        texts = ("is_tag", "leaf", "names", "parents", "scores", "wnids")
        assert {tuple(found[name].pop(k)) for k in texts} == {(0, 3)}
        assert {tuple(shape) for shape in found[name].values()} == {(0,)}
    scores = {"raw_scores": [0, 4], "scores": [0, 4]}
    assert found["scores"] == {**scores, "valid": [0]}
    assert found["tf_example"] == scores
    assert found["embedding"] == {"embedding": [0, 8], "valid": [0]}
    assert found["classify"] == {"classes": [0, 3], "scores": [0, 3]}


def test_assets_and_warm_up_travel_with_the_model(model_base, servable):
    assets = model_base / "1" / "assets"
    vocabulary = Vocabulary.load(assets / "vocabulary.tsv")
    assert [c.wnid for c in vocabulary] == list(WNIDS)
    tree = Hierarchy.load(assets / "hierarchy.tsv", vocabulary)
    assert tree.ancestors(3) == (0,)
    assert servable.warm_up() == len(warmup_requests(servable.signatures))
    # A signature that nobody warms up answers its first request late.
    warmed = {name for name, _ in read_warmup(servable.path)}
    assert warmed == set(servable.signatures) - {contract.TF_EXAMPLE}
    assert "4, 3 of them" in (assets / "model_card.md").read_text()


def test_versions_count_up_and_appear_complete(tagger, tmp_path, monkeypatch):
    (tmp_path / "7").mkdir()
    (tmp_path / "not_a_version").mkdir()
    seen = []
    check = export.check_export

    def spy(staging, signatures):
        seen.extend(os.listdir(tmp_path))
        return check(staging, signatures)

    monkeypatch.setattr(export, "check_export", spy)
    path = export.export_model(tagger, tmp_path)
    assert path == tmp_path / "8"
    assert sorted(n.split("-")[0] for n in seen) == [
        ".staging",
        "7",
        "not_a_version",
    ]
    assert sorted(os.listdir(tmp_path)) == ["7", "8", "not_a_version"]


def test_a_version_is_never_overwritten(tagger, tmp_path):
    (tmp_path / "7").mkdir()
    with pytest.raises(InputError, match="7 exists"):
        export.export_model(tagger, tmp_path, version=7)


def test_a_model_that_differs_is_not_published(tagger, tmp_path, monkeypatch):
    def differ(self, servable, images):
        assert servable.path.parent == tmp_path and len(images) == 2
        return 2e-5

    monkeypatch.setattr(export.TagSignatures, "difference", differ)
    with pytest.raises(export.ExportError, match="answers differ by 2e-05"):
        export.export_model(tagger, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("options", [{"top_k": 0}, {"version": 0}])
def test_bad_options(tagger, tmp_path, options):
    with pytest.raises(InputError, match="received: 0"):
        export.export_model(tagger, tmp_path, **options)


def test_export_of_a_working_directory(tmp_path):
    """What `train` leaves is served with evaluation's own preprocessing."""
    from model.config import Config, DataConfig, NetworkConfig
    from model.network.tagger import Tagger
    from model.start import load_weights, sources
    from model.workdir import CONFIG, WEIGHTS, WEIGHTS_SHA256

    # Two of a stage: the order of the graph is not that of the layers.
    network = NetworkConfig(
        block="basic", blocks=(2,), filters=(8,), strides=(2,), stem_filters=8
    )
    config = Config(data=DataConfig(image_size=32), network=network)
    vocabulary = Vocabulary(
        TagClass(i, wnid, name)
        for i, (wnid, name) in enumerate(zip(WNIDS, NAMES, strict=True))
    )
    (tmp_path / CONFIG).write_text(config.to_json())
    vocabulary.save(tmp_path / load_classes.VOCABULARY)
    tree = Hierarchy([(), (0,), (0,), (0,)])
    tree.save(tmp_path / load_classes.HIERARCHY, vocabulary)
    trained = Tagger(config, len(vocabulary))
    trained.save_weights(tmp_path / WEIGHTS)

    path = export.export(tmp_path, tmp_path / "models", top_k=50)
    images = [noise_image(1), noise_image(2, (20, 90), "PNG")]
    served = Servable(path)
    pixels = tf.stack([decode_and_resize(i, 32, 0.875) for i in images])
    np.testing.assert_allclose(
        run(served, contract.SCORES, images)["raw_scores"],
        tf.math.sigmoid(trained(pixels, training=False)),
        atol=1e-6,
    )
    assert run(served, contract.TAGS, images)["names"].shape == (2, 4)
    found = run(served, contract.EMBEDDING, images)["embedding"]
    assert found.shape == (2, 8)

    # A training that starts from it has the weights of what was trained.
    source = sources.find(str(tmp_path / "models"))
    weights = load_weights.load(source, network)
    for variable in trained.backbone.weights:
        name = load_weights.name_of(variable)
        np.testing.assert_array_equal(weights.backbone[name], variable)
    np.testing.assert_array_equal(weights.kernel, trained.head.kernel)
    np.testing.assert_array_equal(weights.bias, trained.head.bias)
    (path / "assets" / WEIGHTS_SHA256).write_text("0")
    with pytest.raises(InputError, match="has other weights than its assets"):
        load_weights.load(source, network)


def test_one_class_an_image_has_a_softmax(tagger, tmp_path):
    one_class = dataclasses.replace(tagger, one_class=True)
    path = export.export_model(one_class, tmp_path)
    found = run(Servable(path), contract.SCORES, [noise_image(1)])
    raw = found[contract.RAW_SCORES]
    np.testing.assert_allclose(raw.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found[contract.SCORE_VALUES], raw)
    card = (path / "assets" / "model_card.md").read_text()
    assert "a softmax, which adds up to 1" in card


def test_nothing_trained(tmp_path):
    with pytest.raises(InputError, match="tagforest train"):
        export.export(tmp_path, tmp_path / "models")
