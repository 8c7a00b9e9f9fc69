"""Records encoded by compiled loops equal those of protocol buffers."""

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import records
from beam_jobs.dataset_job import encode_records
from beam_jobs.labels import ledger
from beam_jobs.labels.label_rules import LabelledBatch
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.ragged_columns import Annotations, Labels
from tests.helpers.records import Label, Record, to_example


def parse(data: bytes) -> tf.train.Example:
    return tf.train.Example.FromString(data)


def random_records(count: int, seed: int) -> list[Record]:
    rng = np.random.default_rng(seed)

    def classes():
        count = rng.choice([0, 1, 3, 40])
        return np.sort(rng.choice(20_000, count, replace=False)).tolist()

    def label(index: int) -> Label:
        return Label(
            index,
            float(np.float32(rng.random())),
            Rule(rng.integers(3)),
            int(rng.integers(20_000)),
            Source(rng.integers(len(Source))),
        )

    return [
        Record(
            f"tencent/{'é' * int(rng.integers(90))}{number}",
            rng.bytes(int(rng.choice([0, 1, 127, 128, 20_000]))),
            int(rng.integers(1, 9000)),
            int(rng.integers(1, 9000)),
            [label(index) for index in classes()],
            classes(),
            [
                (index, float(np.float32(rng.random())), Source.COCO)
                for index in classes()
            ],
        )
        for number in range(count)
    ]


def ragged(rows, dtype):
    splits = np.cumsum([0, *map(len, rows)])
    return splits, np.array([v for row in rows for v in row], dtype)


def encode(wanted: list[Record]) -> encode_records.EncodedRows:
    def labels_of(name, dtype):
        rows = [[getattr(x, name) for x in r.labels] for r in wanted]
        return ragged(rows, dtype)

    splits, ids = labels_of("index", np.int32)
    labels = Labels(
        splits,
        ids,
        labels_of("confidence", np.float32)[1],
        labels_of("rule", np.uint8)[1],
        labels_of("parent", np.int32)[1],
        labels_of("source", np.uint8)[1],
    )
    # Every other annotation is visible among the labels.
    doubled = [[h for h in r.hidden for _ in range(2)] for r in wanted]
    parts = [ragged([[h[i] for h in r] for r in doubled], t) for i, t in _TYPES]
    annotations = Annotations(parts[0][0], *(values for _, values in parts))
    absent = ragged([r.absent for r in wanted], np.int32)
    hidden = np.tile([True, False], len(annotations.ids) // 2)
    batch = LabelledBatch(labels, *absent, hidden)
    return encode_records.encode_labels(batch, annotations)


_TYPES = ((0, np.int32), (1, np.float32), (2, np.uint8))


def test_equal_messages():
    wanted = random_records(60, seed=1)
    entries = encode_records.join(
        encode_records.encode_ids([r.image_id for r in wanted]),
        encode_records.encode_sizes(
            np.array([r.height for r in wanted]),
            np.array([r.width for r in wanted]),
        ),
        encode(wanted),
    )
    for record, entry in zip(wanted, entries.rows(), strict=True):
        image = encode_records.bytes_entry(
            records.IMAGE_ENCODED, record.encoded
        )
        found = encode_records.example_of(image, entry)
        assert parse(found) == parse(to_example(record))
        assert len(found) == len(to_example(record))


def test_messages_without_images():
    wanted = random_records(20, seed=2)
    rows = encode_records.to_examples(encode(wanted)).rows()
    for record, found in zip(wanted, rows, strict=True):
        expected = parse(to_example(record))
        for name in [n for n in expected.features.feature if "image/" in n]:
            del expected.features.feature[name]
        assert parse(found) == expected


def test_labels_take_under_200_bytes_where_they_took_44664():
    labels = [
        Label(i, 1.0, Rule.ANCESTOR, 11_000, Source.TENCENT)
        for i in range(1000, 1009)
    ]
    entries = encode([Record("tencent/x", b"", 1, 1, labels)])
    assert len(entries.data) == 169


def test_codes_of_the_ledger_fit_where_they_are_kept():
    # A source plus BY_PARENT is kept in a uint8, a code in an int16.
    assert max(Source) < ledger.BY_PARENT
    assert max(Source) + ledger.BY_PARENT <= np.iinfo(np.uint8).max
    highest = ledger.ledger_codes(max(Rule), max(Source))
    assert highest <= np.iinfo(np.int16).max
    # Those in records written so far.
    assert ledger.ledger_codes(int(Rule.PARENT), int(Source.MASKS)) == 123


def test_codes_of_the_ledger():
    for rule in Rule:
        for source in Source:
            code = ledger.ledger_codes(int(rule), int(source))
            assert ledger.rules_of(code) == rule
            assert ledger.sources_of(code) == source


def test_texts_equal_protobuf_and_empty_ones_are_left_out():
    texts = [b"", "Zoë".encode(), b"x" * 1000, b""]
    rows = encode_records.encode_texts(records.IMAGE_AUTHOR, texts)
    found = [parse(data) for data in encode_records.to_examples(rows).rows()]
    for example, text in zip(found, texts, strict=True):
        features = example.features.feature
        if text:
            value = features[records.IMAGE_AUTHOR].bytes_list.value
            assert list(value) == [text]
        assert len(features) == bool(text)
