from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources import tencent
from beam_jobs.sources.reader import AnnotatedImage, Context
from tests.helpers.shared_data import TENCENT, TENCENT_DICTIONARY, needs_tencent

DICTIONARY = (
    "category_index\tcategory_id\tindex_of_parent_category\tcategory name\n"
    "0\tn00000001\t-1\tthing\n1\tn00000002\t0\tdog\n2\tn00000003\t0\tcat\n"
)
FRAME = 16


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def example(name, image=b"picture", label=(0.0, 1.0, 0.5), lacks=""):
    features = {
        "name": bytes_feature(name.encode()),
        "image": bytes_feature(image),
        "label": bytes_feature(np.array(label, "<f4").tobytes()),
        "width": tf.train.Feature(int64_list=tf.train.Int64List(value=[2])),
    }
    features.pop(lacks, None)
    holder = tf.train.Features(feature=features)
    return tf.train.Example(features=holder).SerializeToString()


@pytest.fixture
def write(tmp_path):
    dictionary = tmp_path / "dictionary.txt"
    dictionary.write_text(DICTIONARY)
    path = tmp_path / "0.tfrecords"

    def run(*records, change=lambda data: data, options=()):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        path.write_bytes(change(path.read_bytes()))
        context = Context((*options, ("dictionary", str(dictionary))))
        (part,) = tencent.RECORDS.find(str(path), context).parts
        return list(tencent.RECORDS.read(part))

    return run


def image_bytes(ref):
    data = Path(ref.path).read_bytes()
    return data[ref.offset : ref.offset + ref.length]


def test_images_and_labels(write):
    first, second = write(
        example("a.jpg", b"one"), example("b.jpg", b"two", (0, 0, 0))
    )
    assert first.image_id == "tencent/a.jpg"
    assert first.source == Source.TENCENT
    assert first.classes == ("n00000002", "n00000003")
    assert first.confidences == (1.0, 0.5)
    assert image_bytes(first.ref) == b"one"
    assert second.classes == ()
    assert image_bytes(second.ref) == b"two"


def test_labels_alone_have_no_place(write):
    (image,) = write(example("a.jpg"), options=[("labels_only", "yes")])
    assert image == AnnotatedImage(
        "tencent/a.jpg", Source.TENCENT, ("n00000002", "n00000003"), (1.0, 0.5)
    )


@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        (b"\xff", "not a tf.train.Example"),
        (example("a", lacks="image"), "no feature 'image'"),
        (example("a", b""), "feature 'image' is not one string of bytes"),
        (example("a", lacks="name"), "no feature 'name'"),
        (example("a", label=(1, 0)), "label has 8 bytes; 3 classes"),
        (example("a", label=(2, 0, 0)), "label has values that are not 0 to 1"),
        (example("a", label=(0, 0, np.nan)), "label has values"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_record_becomes_a_rejection(write, bad, detail):
    before, rejected, after = write(example("x"), bad, example("y"))
    assert (before.image_id, after.image_id) == ("tencent/x", "tencent/y")
    assert rejected.reason == Reason.MALFORMED_RECORD
    assert rejected.item == f"{rejected.path}:{FRAME + len(example('x'))}"
    assert rejected.detail.startswith(detail)


SIZE = FRAME + len(example("x"))


@pytest.mark.parametrize(
    ("damaged", "ids", "detail"),
    [
        (SIZE + 50, ["x", None, "z"], "the checksum of the data is wrong"),
        (SIZE + 2, ["x", None], "the checksum of the length is wrong"),
    ],
    ids=["data", "length"],
)
def test_damaged_file_goes_on_where_it_can(write, damaged, ids, detail):
    def flip(data):
        there = bytes([data[damaged] ^ 1])
        return data[:damaged] + there + data[damaged + 1 :]

    items = write(example("x"), example("y"), example("z"), change=flip)
    assert len(items) == len(ids)
    rejected = items[1]
    assert rejected.item == f"{rejected.path}:{SIZE}"
    assert rejected.detail.startswith(detail)
    assert [getattr(i, "image_id", None) for i in items] == [
        name and f"tencent/{name}" for name in ids
    ]


@pytest.mark.parametrize("there", [SIZE + 5, SIZE + 30, 2 * SIZE - 1])
def test_cut_off_file_gives_what_lies_before(write, there):
    first, rejected = write(
        example("x"), example("y"), change=lambda data: data[:there]
    )
    assert first.image_id == "tencent/x"
    assert rejected.item == f"{rejected.path}:{SIZE}"
    assert rejected.detail.startswith("cut off")


def test_refuses_what_is_no_tfrecord_file(tmp_path):
    with pytest.raises(InputError, match="nothing matches"):
        tencent.RECORDS.find(str(tmp_path / "none"), Context())
    (tmp_path / "a.txt").write_text("not a TFRecord file")
    with pytest.raises(InputError, match="a.txt: not a TFRecord file"):
        tencent.RECORDS.find(str(tmp_path), Context())


@needs_tencent
def test_published_file():
    context = Context((("dictionary", str(TENCENT_DICTIONARY)),))
    folder = str(TENCENT / "tfrecords")
    (part,) = tencent.RECORDS.find(folder, context).parts
    first, second = tencent.RECORDS.read(part)
    assert first.image_id == "tencent/im_2.jpeg"
    assert second.image_id == "tencent/im_3.jpeg"
    decoded = tf.io.decode_jpeg(image_bytes(first.ref))
    assert decoded.shape == (374, 500, 3)
    assert second.classes == ("n04341686", "n02913152", "n02734725")
    assert second.confidences == pytest.approx((0.8, 0.8, 0.8))
