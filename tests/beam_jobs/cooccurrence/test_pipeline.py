import json
from pathlib import Path

import pytest
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.cooccurrence import predict
from beam_jobs.cooccurrence.options import CooccurrenceOptions, ModelOptions
from beam_jobs.cooccurrence.pipeline import find_cooccurrence
from beam_jobs.dataset import dataset_folder, read_records, records
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.pairs import Pairs
from tests.helpers import commands
from tests.helpers.records import Label, Record, to_example

ANIMAL, DOG, HUSKY, SNOW, SLED = range(5)
VOCABULARY = Vocabulary(
    [
        TagClass(ANIMAL, "n00015388", "animal"),
        TagClass(DOG, "n02084071", "dog"),
        TagClass(HUSKY, "n02109961", "husky"),
        TagClass(SNOW, "n15043763", "snow"),
        TagClass(SLED, "n04235291", "sled [x]"),
    ]
)
TREE = Hierarchy([(), (ANIMAL,), (DOG,), (), ()])
WNIDS = tuple(c.wnid for c in VOCABULARY)

# What a model says of four images, by class: 0.95 itself is not enough.
SCORES = {
    "csv/a": {DOG: 0.99, SNOW: 0.96},
    "csv/b": {DOG: 0.97, SNOW: 0.99, SLED: 0.95},
    "csv/c": {DOG: 0.96, HUSKY: 0.98},
    "csv/d": {SLED: 0.99},
}
# Their annotations.
LABELS = {"csv/a": HUSKY, "csv/b": HUSKY, "csv/c": HUSKY, "csv/d": SNOW}


def save_scores(path, scores=None):
    rows = (scores or SCORES).items()
    named = {n: {WNIDS[i]: s for i, s in found.items()} for n, found in rows}
    lines = [json.dumps({"image_id": n, "scores": s}) for n, s in named.items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def labels_of(annotated):
    """The label and its ancestors, as a data set has them."""
    found = [
        Label(i, 1.0, Rule.ANCESTOR, annotated, Source.CSV)
        for i in TREE.ancestors(annotated)
    ]
    found.append(Label(annotated, 1.0, Rule.ANNOTATED, annotated, Source.CSV))
    return found


def scores_as_image(name):
    """The scores of an image as text: what the model below reads."""
    values = [SCORES[name].get(i, 0.0) for i in range(len(VOCABULARY))]
    return " ".join(map(str, values)).encode()


def make_dataset(folder, extra=()):
    path = folder / dataset_folder.shard_path("train", 0, 1)
    path.parent.mkdir(parents=True)
    examples = [
        Record(name, scores_as_image(name), 1, 1, labels_of(label))
        for name, label in LABELS.items()
    ]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (*examples, *extra):
            writer.write(to_example(record))
    VOCABULARY.save(folder / load_classes.VOCABULARY)
    TREE.save(folder / load_classes.HIERARCHY, VOCABULARY)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    return str(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"))


class TextModel(tf.Module):
    """Says the scores that an image spells out; raises if it spells none."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def scores(self, image):
        numbers = tf.strings.to_number(tf.strings.split(image))
        return {"scores": numbers.to_tensor(shape=[None, 5])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def tags(self, image):
        values, places = tf.math.top_k(self.scores(image)["scores"], 2)
        wnids = tf.gather(tf.constant(WNIDS), places)
        valid = tf.strings.length(image) > 0
        return {"wnids": wnids, "scores": values, "valid": valid}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "rows")])
    def examples(self, rows):
        spec = {records.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        parsed = tf.io.parse_example(rows, spec)
        return self.scores(parsed[records.IMAGE_ENCODED])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "pixels")])
    def pixels(self, pixels):
        return {"scores": pixels[:, tf.newaxis]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("model"))
    module = TextModel()
    signatures = {
        "scores": module.scores,
        "serving_default": module.tags,
        "tf_example": module.examples,
        "pixels": module.pixels,
    }
    tf.saved_model.save(module, folder, signatures)
    return folder


def run(out, **options):
    options = CooccurrenceOptions(out=str(out), **options)
    return find_cooccurrence(options, show_progress=False)


def found(pairs):
    """{(i, j): (n_ij, n_i)}"""
    columns = (pairs.source_class, pairs.added_class, pairs.n_ij, pairs.n_i)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    return {(i, j): (n_ij, n_i) for i, j, n_ij, n_i in rows}


# Predictions alone: dog 3 images, snow 2, husky 1, sled 1. Dog and snow share
# two, dog and husky one; dog is above husky.
PREDICTED = {(DOG, SNOW): (2, 3), (SNOW, DOG): (2, 2)}

# With labels every image of a, b, c has animal, dog and husky; d has snow and
# sled. Snow is in a, b, d.
JOINED = {
    (ANIMAL, SNOW): (2, 3),
    (DOG, SNOW): (2, 3),
    (HUSKY, SNOW): (2, 3),
    (SNOW, ANIMAL): (2, 3),
    (SNOW, DOG): (2, 3),
    (SNOW, HUSKY): (2, 3),
    (SLED, SNOW): (1, 1),
}


@pytest.fixture
def vocabulary_file(tmp_path):
    folder = tmp_path / "classes"
    folder.mkdir()
    VOCABULARY.save(folder / load_classes.VOCABULARY)
    TREE.save(folder / load_classes.HIERARCHY, VOCABULARY)
    return str(folder / load_classes.VOCABULARY)


def test_predictions_alone(tmp_path, vocabulary_file):
    scores = save_scores(tmp_path / "s.jsonl")
    out = tmp_path / "new" / "pairs.tsv"
    summary, pairs, _ = run(out, scores=(scores,), vocabulary=vocabulary_file)
    assert found(pairs) == PREDICTED
    assert pairs.co.tolist() == [2 / 3, 1.0]
    assert (summary.rows_in, summary.rejected) == (4, {})
    assert (summary.images, summary.with_predictions) == (4, 4)
    assert summary.with_labels == 0
    # Nothing else is left behind.
    assert [p.name for p in out.parent.iterdir()] == ["pairs.tsv"]


def test_the_other_reading(tmp_path, vocabulary_file):
    # Dog comes with its subclass husky in every image.
    scores = save_scores(
        tmp_path / "s.jsonl", {"csv/a": {DOG: 0.99, HUSKY: 0.99}}
    )
    options = {"scores": (scores,), "vocabulary": vocabulary_file}
    _, unrelated, _ = run(tmp_path / "a.tsv", **options)
    _, other, _ = run(tmp_path / "b.tsv", reading="not_ancestor", **options)
    assert found(unrelated) == {}
    assert found(other) == {(DOG, HUSKY): (1, 1)}


def test_bounds(tmp_path, vocabulary_file):
    scores = save_scores(tmp_path / "s.jsonl")
    out = tmp_path / "pairs.tsv"
    _, pairs, _ = run(
        out,
        scores=(scores,),
        vocabulary=vocabulary_file,
        posterior=0.955,
        min_co=0.6,
        min_images=3,
    )
    assert found(pairs) == {(DOG, SNOW): (2, 3)}


def test_an_image_in_several_files(tmp_path, dataset):
    first = save_scores(tmp_path / "s.jsonl", {"csv/a": {DOG: 0.99}})
    second = tmp_path / "s.csv"
    second.write_text(
        f"image_id,wnid,score\ncsv/a,{WNIDS[SNOW]},0.99\n"
        f"csv/a,{WNIDS[SNOW]},0.98\ncsv/z,{WNIDS[SNOW]},0.99\n"
    )
    summary, pairs, _ = run(
        tmp_path / "pairs.tsv",
        scores=(first, str(second)),
        dataset=dataset,
        predictions_only=True,
    )
    # Snow is in a and z, dog in a.
    assert found(pairs) == {(DOG, SNOW): (1, 1)}
    assert (summary.images, summary.rows_in) == (2, 4)
    assert summary.with_labels == 0


def test_bad_rows_are_accounted_for(tmp_path, vocabulary_file):
    # In another order, too: equal rows give equal bytes.
    path = tmp_path / "s.jsonl"
    save_scores(path, dict(reversed(SCORES.items())))
    unknown = '{"image_id": "x", "scores": {"n00000001": 0.99}}\n'
    path.write_text(path.read_text() + "{\n" + unknown)
    out = tmp_path / "pairs.tsv"
    summary, _, _ = run(out, scores=(str(path),), vocabulary=vocabulary_file)
    assert (summary.rows_in, summary.rejected) == (6, {"malformed_row": 1})
    assert summary.unknown_scores == 1
    letter = json.loads((tmp_path / "pairs.rejected.jsonl").read_text())
    assert letter["item"] == f"{path}:5"
    assert out.read_text().splitlines() == [
        "wnid\tadds_wnid\tco\tn_i\tn_ij",
        "n02084071\tn15043763\t0.6666666666666666\t3\t2",
        "n15043763\tn02084071\t1.0\t2\t2",
    ]


def test_what_co_occurrence_added_is_no_observation(tmp_path):
    # e: a husky to which a pair added sled, and a hidden annotation of snow,
    # which another pair added with more confidence.
    added = [
        *labels_of(HUSKY),
        Label(SNOW, 1.0, Rule.CO_OCCURRENCE, HUSKY, Source.CSV),
        Label(SLED, 1.0, Rule.CO_OCCURRENCE, HUSKY, Source.CSV),
    ]
    hidden = [(SNOW, 0.8, Source.CSV)]
    record = Record("csv/e", b"", 1, 1, added, hidden=hidden)
    path = str(tmp_path / "one.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(to_example(record))
    (image,) = predict.annotated(path, TREE)
    assert image.image_id == "csv/e"
    assert image.ids == [ANIMAL, DOG, HUSKY, SNOW]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"signature": "serving_default"},
        {"signature": "tf_example", "examples": True},
        {"batch_size": 1},
    ],
    ids=["scores", "tags", "records", "one by one"],
)
def test_predictions_of_a_shard(dataset, model, options):
    options = ModelOptions(model, **{"batch_size": 3} | options)
    shard = str(dataset_folder.shard_paths(dataset, "train")[0])
    predictor = predict.Predictor(options, WNIDS)
    images = predict.predict(shard, predictor, options, 0.95)
    assert {i.image_id: set(i.ids) for i in images} == {
        "csv/a": {DOG, SNOW},
        "csv/b": {DOG, SNOW},
        "csv/c": {DOG, HUSKY},
        "csv/d": {SLED},
    }


def test_a_model_of_other_classes(tmp_path, model):
    # Its five columns are cat, unknown here, then dog, husky, snow, sled.
    other = Vocabulary(
        [
            TagClass(0, "n02121620", "cat"),
            *(TagClass(i, WNIDS[i], "") for i in range(1, 5)),
        ]
    )
    path = tmp_path / "model_vocabulary.tsv"
    other.save(path)
    options = ModelOptions(model, vocabulary=str(path))
    # Snow is the first class of this data set, and it has no husky.
    predictor = predict.Predictor(
        options, [WNIDS[i] for i in (SNOW, SLED, DOG, ANIMAL)]
    )
    assert predictor.positives([b"1 1 1 1 0"], 0.95) == [[2, 0]]


def test_a_model_in_the_job(tmp_path, model):
    dataset = make_dataset(
        tmp_path / "dataset", [Record("csv/e", b"no number", 1, 1)]
    )
    out = tmp_path / "pairs.tsv"
    summary, pairs, _ = run(out, model=ModelOptions(model), dataset=dataset)
    assert found(pairs) == JOINED
    # The model cannot read the last image.
    assert (summary.rows_in, summary.rejected) == (5, {"broken_image": 1})
    assert (summary.images, summary.with_labels) == (4, 4)
    letter = json.loads((tmp_path / "pairs.rejected.jsonl").read_text())
    assert letter["item"] == "csv/e"


def test_a_data_set_without_pictures_is_refused(tmp_path, model):
    folder = tmp_path / "dataset"
    make_dataset(folder, [Record("csv/e", b"", 1, 1)])
    shard = str(dataset_folder.shard_paths(folder, "train")[0])
    options = ModelOptions(model)
    predictor = predict.Predictor(options, WNIDS)
    with pytest.raises(InputError, match="csv/e has no image"):
        list(predict.predict(shard, predictor, options, 0.95))
    # The first record has one, and that is all that is looked at early.
    read_records.check_has_images(shard)


def test_a_damaged_shard_is_named_by_every_reader(tmp_path, model):
    folder = tmp_path / "dataset"
    make_dataset(folder, [Record("csv/e", b"image", 1, 1)])
    shard = dataset_folder.shard_paths(folder, "train")[0]
    content = bytearray(Path(shard).read_bytes())
    content[30] ^= 1
    Path(shard).write_bytes(content)
    options = ModelOptions(model)
    predictor = predict.Predictor(options, WNIDS)
    for read in (
        lambda: list(predict.predict(shard, predictor, options, 0.95)),
        lambda: list(predict.annotated(shard, TREE)),
        lambda: read_records.check_has_images(shard),
    ):
        with pytest.raises(InputError, match=f"^{shard} is damaged at byte 12"):
            read()


def test_a_data_set_of_labels_is_refused_at_once(tmp_path):
    path = str(tmp_path / "one.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(to_example(Record("csv/e", b"", 1, 1)))
    with pytest.raises(InputError, match="csv/e has no image"):
        read_records.check_has_images(path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"signature": "none"}, "no signature 'none'; it has: pixels, scores"),
        ({"scores": "none"}, "no output 'none'; it has: scores"),
        ({"signature": "pixels"}, "one batch of strings; .*pixels: float32"),
    ],
)
def test_models_that_do_not_fit(tmp_path, dataset, model, options, message):
    with pytest.raises(InputError, match=message):
        run(
            tmp_path / "pairs.tsv",
            model=ModelOptions(model, **options),
            dataset=dataset,
        )


def test_a_model_of_another_width(tmp_path, model):
    small = Vocabulary([TagClass(0, WNIDS[0], "animal")])
    with pytest.raises(InputError, match="5 classes.*1; .*--model-vocabulary"):
        predict.Predictor(ModelOptions(model), [c.wnid for c in small])


def test_no_model_there(tmp_path, dataset):
    with pytest.raises(InputError, match="holds no saved_model.pb"):
        run(
            tmp_path / "pairs.tsv",
            model=ModelOptions(str(tmp_path)),
            dataset=dataset,
        )


def test_command_joins_scores_with_labels(tmp_path, dataset):
    scores = save_scores(tmp_path / "s.jsonl")
    out = tmp_path / "pairs.tsv"
    given = ("--scores", scores, "--dataset", dataset, "--out", out)
    result = commands.run("cooccurrence", *given)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "4 predictions in = 4 out + 0 rejected" in text
    assert "4 images: 4 with predictions, 4 with labels" in text
    assert f"7 pairs in {out}" in text
    assert "sled [x]" in text
    assert f"next: tagforest relabel {dataset} --cooccurrence {out}" in text
    assert found(Pairs.load(out, VOCABULARY)) == JOINED
