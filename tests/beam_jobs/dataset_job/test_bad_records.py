"""Every source at once, with every defect: nothing stops, nothing vanishes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs import rejections
from beam_jobs.classes import load_classes
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.labels import ledger
from beam_jobs.labels.ledger import Rule
from tests.helpers.datasets import build, read_examples
from tests.helpers.images import noise_image
from tests.helpers.raw_sources import APPLE, CAT, DOG
from tests.helpers.tars import write_tar

WNIDS = (DOG, CAT, APPLE)
NAMES = ("dog", "cat", "apple")
# Good images of each kind of source.
GOOD = 150
PAGE = b"<html><title>404 Not Found</title></html>"
MAX_BYTES, MAX_PIXELS = 20_000, 10_000


class Raw:
    """The sources, what good there is in them, and what bad.

    Attributes:
        good: class index, as in `WNIDS`, by image id.
        bad: (reason, end of the item, end of the path).
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.good: dict[str, int] = {}
        self.bad: list[tuple[str, str, str]] = []
        self._images = [noise_image(i) for i in range(GOOD)]
        self.images = folder / "images"
        self.images.mkdir()
        write_imagenet(self)
        write_open_images(self)
        write_tencent_list(self)
        write_tencent_records(self)
        write_coco(self)
        write_voc(self)
        write_csv(self)

    def image(self, kind: str, i: int) -> bytes:
        """Returns a good image that no other source has."""
        data = self._images[i]
        comment = f"{kind} {i}".encode()
        size = (len(comment) + 2).to_bytes(2, "big")
        return data[:2] + b"\xff\xfe" + size + comment + data[2:]

    def broken(self) -> dict[str, bytes]:
        """Returns bytes of images that are rejected, by the reason."""
        return {
            "broken_image": self._images[0][:-200],
            "empty_file": b"",
            "not_an_image": PAGE,
            "too_small": tiny(4, 40),
            "too_many_pixels": tiny(101, 100),
            "too_many_bytes": self._images[0] + bytes(MAX_BYTES),
        }

    def reject(self, reason: str, item: str, path: str = "") -> None:
        self.bad.append((reason, item, path))


def tiny(width: int, height: int) -> bytes:
    shape = tf.zeros([height, width, 3], tf.uint8)
    return tf.io.encode_jpeg(shape).numpy()


def write_imagenet(raw: Raw) -> None:
    """Two tars, one of them cut off, and a folder."""
    folder = raw.folder / "imagenet"
    (folder / APPLE).mkdir(parents=True)
    for number, wnid in enumerate((DOG, CAT)):
        members = {}
        for i in range(GOOD // 3):
            members[f"{wnid}_{i}.JPEG"] = raw.image(wnid, i)
            raw.good[f"imagenet/{wnid}_{i}"] = number
        if wnid == DOG:
            members |= {f"{k}.JPEG": v for k, v in raw.broken().items()}
            # A folder in the archive: the name is the same image again.
            members[f"again/{DOG}_0.JPEG"] = raw.image(wnid, 149)
            raw.reject("duplicate_id", f"imagenet/{DOG}_0", f"{DOG}.tar")
            for reason in raw.broken():
                raw.reject(reason, f"imagenet/{reason}", f"{DOG}.tar")
        write_tar(folder / f"{wnid}.tar", members)
    cut = folder / f"{CAT}.tar"
    # What the end marks leave, and half of the last image.
    cut.write_bytes(cut.read_bytes().rstrip(b"\0")[:-500])
    del raw.good[f"imagenet/{CAT}_{GOOD // 3 - 1}"]
    raw.reject("unreadable_archive", f"{CAT}.tar", f"{CAT}.tar")
    for i in range(GOOD // 3):
        path = folder / APPLE / f"{APPLE}_{i}.JPEG"
        path.write_bytes(raw.image(APPLE, i))
        raw.good[f"imagenet/{APPLE}_{i}"] = 2


def write_open_images(raw: Raw) -> None:
    folder = raw.folder / "open_images"
    (folder / "images").mkdir(parents=True)
    rows = [b"ImageID,Source,LabelName,Confidence"]
    for i in range(GOOD):
        (folder / "images" / f"{i:04d}.jpg").write_bytes(raw.image("oi", i))
        rows.append(b"%04d,verification,/m/%d,1" % (i, i % 3))
        raw.good[f"open_images/{i:04d}"] = i % 3
    for reason, data in raw.broken().items():
        (folder / "images" / f"{reason}.jpg").write_bytes(data)
        rows.append(b"%s,verification,/m/0,1" % reason.encode())
        raw.reject(reason, f"open_images/{reason}", f"{reason}.jpg")
    (folder / "images" / "silent.jpg").write_bytes(raw.image("oi", 148))
    raw.reject("no_annotation", "open_images/silent", "silent.jpg")
    (folder / "images" / "strange.jpg").write_bytes(raw.image("oi", 149))
    rows.append(b"strange,verification,/m/9,1")
    raw.reject("no_label_in_vocabulary", "open_images/strange", "strange.jpg")
    rows.append(b"gone,verification,/m/0,1")
    raw.reject("missing_image", "open_images/gone")
    for row in (
        b"0001,verification,/m/0,surely",
        b"0001,verification,/m/0,1.5",
        b"0001,verification,/m/0,nan",
        b"0001,\xff\xfe,/m/0,1",
        b'0001,"verification,/m/0,1',
        b"0001,verification,/m/0",
        b",verification,/m/0,1",
    ):
        rows.append(row)
        raw.reject("malformed_row", f"imagelabels.csv:{len(rows)}", ".csv")
    name = "train-annotations-human-imagelabels.csv"
    (folder / name).write_bytes(b"\n".join(rows) + b"\n")
    names = "".join(f"/m/{i},{n.title()}\n" for i, n in enumerate(NAMES))
    (folder / "class-descriptions.csv").write_text(
        f"LabelName,DisplayName\n{names}/m/9,---\n"
    )
    (folder / "train-images-with-labels-with-rotation.csv").write_text(
        "ImageID,Rotation\n0000,0.0\n0001,45.0\n0002,up\n"
    )
    raw.reject("malformed_row", "with-rotation.csv:3", ".csv")
    raw.reject("malformed_row", "with-rotation.csv:4", ".csv")


def write_dictionary(raw: Raw) -> str:
    path = raw.folder / "dictionary.txt"
    rows = [f"{i}\t{w}\t-1\t{NAMES[i]}" for i, w in enumerate(WNIDS)]
    header = "category_index\tcategory_id\tindex_of_parent_category"
    path.write_text("\n".join([f"{header}\tcategory name", *rows]) + "\n")
    return str(path)


def write_tencent_list(raw: Raw) -> None:
    rows = []
    for i in range(GOOD):
        (raw.images / f"t{i}.jpg").write_bytes(raw.image("list", i))
        rows.append(f"t{i}.jpg\t{i % 3}:0.9")
        raw.good[f"tencent/t{i}.jpg"] = i % 3
    for reason, data in raw.broken().items():
        (raw.images / f"t-{reason}.jpg").write_bytes(data)
        rows.append(f"t-{reason}.jpg\t0:1")
        raw.reject(reason, f"tencent/t-{reason}.jpg", f"t-{reason}.jpg")
    (raw.images / "folder.jpg").mkdir()
    rows.append("folder.jpg\t1:1")
    raw.reject("unreadable_file", "tencent/folder.jpg", "folder.jpg")
    rows.append("absent.jpg\t1:1")
    raw.reject("missing_image", "tencent/absent.jpg", "absent.jpg")
    rows.append("t0.jpg\t0:1")  # the same file: the same image
    rows.append("unsure.jpg\t1:0.3")
    raw.reject("no_label_in_vocabulary", "tencent/unsure.jpg", "unsure.jpg")
    rows.append("nothing.jpg")
    raw.reject("no_annotation", "tencent/nothing.jpg", "nothing.jpg")
    for row in (
        "t1.jpg\t1:1\t2;1",
        "t1.jpg\t1:1.1",
        "t1.jpg\t3:1",
        "../secret.jpg\t1:1",
    ):
        rows.append(row)
        raw.reject("malformed_row", f"list.txt:{len(rows)}", "list.txt")
    (raw.folder / "list.txt").write_text("\n".join(rows) + "\n")


def write_tencent_records(raw: Raw) -> None:
    path = raw.folder / "0.tfrecords"
    frames = []
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(GOOD):
            label = np.zeros(3, "<f4")
            label[i % 3] = 1
            data = original(f"r{i}.jpg", raw.image("tf", i), label)
            writer.write(data)
            frames.append(len(data) + 16)
            raw.good[f"tencent/r{i}.jpg"] = i % 3
        writer.write(original("r0.jpg", raw.image("tf", 0), label))
        short = original("r1.jpg", raw.image("tf", 0), label[:2])
        writer.write(short)
        writer.write(original("r-page.jpg", PAGE, label))
    content = bytearray(path.read_bytes())
    raw.reject("duplicate_id", "tencent/r0.jpg", "0.tfrecords")
    raw.reject("not_an_image", "tencent/r-page.jpg", "0.tfrecords")
    after = sum(frames) + len(original("r0.jpg", raw.image("tf", 0), label))
    raw.reject("malformed_record", f"0.tfrecords:{after + 16}", "0.tfrecords")
    damaged = sum(frames[:7])
    content[damaged + 50] ^= 1
    del raw.good["tencent/r7.jpg"]
    raw.reject("malformed_record", f"0.tfrecords:{damaged}", "0.tfrecords")
    raw.reject("malformed_record", f"0.tfrecords:{len(content)}", ".tfrecords")
    path.write_bytes(bytes(content) + bytes(content[:100]))


def original(name: str, data: bytes, label: np.ndarray) -> bytes:
    """Returns a record as `data/tfrecord.py` of Tencent ML-Images has it."""
    values = {"name": name.encode(), "image": data, "label": label.tobytes()}
    feature = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in values.items()
    }
    features = tf.train.Features(feature=feature)
    message = tf.train.Example(features=features)
    return message.SerializeToString(deterministic=True)


def write_coco(raw: Raw) -> None:
    images, annotations = [], []
    for i in range(GOOD):
        (raw.images / f"c{i}.jpg").write_bytes(raw.image("coco", i))
        images.append({"id": i, "file_name": f"c{i}.jpg"})
        annotations.append({"image_id": i, "category_id": i % 3, "bbox": [1]})
        raw.good[f"coco/c{i}.jpg"] = i % 3
    images += [
        {"id": 1000, "file_name": "c-silent.jpg"},
        {"id": 1001, "file_name": "c-gone.jpg"},
        {"id": 1002},
    ]
    raw.reject("no_annotation", "coco/c-silent.jpg", "c-silent.jpg")
    raw.reject("missing_image", "coco/c-gone.jpg", "c-gone.jpg")
    raw.reject("malformed_record", f"images[{GOOD + 2}]", "coco.json")
    annotations += [
        {"image_id": 1001, "category_id": 0},
        {"image_id": 0, "category_id": 77},
        {"image_id": 7777, "category_id": 0},
        {"category_id": 0},
    ]
    for i in range(GOOD + 1, GOOD + 4):
        raw.reject("malformed_record", f"annotations[{i}]", "coco.json")
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in enumerate(NAMES)],
    }
    (raw.folder / "coco.json").write_text(json.dumps(content))


def write_voc(raw: Raw) -> None:
    folder = raw.folder / "voc"
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()

    def annotate(stem: str, *names: str) -> None:
        objects = (f"<object><name>{escape(n)}</name></object>" for n in names)
        (folder / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><filename>{stem}.jpg</filename>{''.join(objects)}"
            "</annotation>"
        )

    for i in range(GOOD):
        (folder / "JPEGImages" / f"v{i}.jpg").write_bytes(raw.image("voc", i))
        annotate(f"v{i}", NAMES[i % 3])
        raw.good[f"voc/v{i}.jpg"] = i % 3
    annotate("v-silent")
    raw.reject("no_annotation", "voc/v-silent.jpg", "v-silent.jpg")
    annotate("v-gone", "dog")
    raw.reject("missing_image", "voc/v-gone.jpg", "v-gone.jpg")
    annotate("v-nameless", "")
    raw.reject("malformed_record", "v-nameless.xml", "v-nameless.xml")
    (folder / "Annotations" / "v-cut.xml").write_text("<annotation><object>")
    raw.reject("malformed_record", "v-cut.xml", "v-cut.xml")


def write_csv(raw: Raw) -> None:
    rows = ["image,labels,confidence"]
    for i in range(GOOD):
        (raw.images / f"p{i}.jpg").write_bytes(raw.image("csv", i))
        rows.append(f"p{i}.jpg,{(*WNIDS, *NAMES)[i % 6]},0.9")
        raw.good[f"csv/p{i}.jpg"] = i % 3
    rows.append("p-gone.jpg,dog,1")
    raw.reject("missing_image", "csv/p-gone.jpg", "p-gone.jpg")
    rows.append("p-silent.jpg,,1")
    raw.reject("no_annotation", "csv/p-silent.jpg", "p-silent.jpg")
    for row in (
        "p1.jpg,dog,maybe",
        "p1.jpg,dog",
        'p1.jpg,"dog,1',
        "/../p1.jpg,dog,1",
        "p1.jpg,dog;cat,1;1;1",
    ):
        rows.append(row)
        raw.reject("malformed_row", f"own.csv:{len(rows)}", "own.csv")
    (raw.folder / "own.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Raw:
    raw = Raw(tmp_path_factory.mktemp("bad"))
    folder = raw.folder
    given = {
        "imagenet": [str(folder / "imagenet")],
        "open_images": [str(folder / "open_images")],
        "tencent_lists": [str(folder / "list.txt")],
        "tencent_records": [str(folder / "0.tfrecords")],
        "coco": [str(folder / "coco.json")],
        "voc": [str(folder / "voc")],
        "csv": [str(folder / "own.csv")],
        "images": [str(raw.images)],
        "dictionary": write_dictionary(raw),
        "min_images_open_images": 1,
        "max_bytes": MAX_BYTES,
        "max_pixels": MAX_PIXELS,
        "near_duplicates": -1,
        "images_per_shard": 200,
    }
    out = str(folder / "dataset")
    build(build_options(DatasetOptions, {**given, "out": out}))
    return raw


def test_every_bad_record_is_a_dead_letter(raw):
    letters = [
        json.loads(line)
        for path in (raw.folder / "dataset" / rejections.DEAD_LETTERS).iterdir()
        for line in path.open()
    ]
    missing = []
    for reason, item, path in raw.bad:
        for letter in letters:
            if (
                letter["reason"] == reason
                and letter["item"].endswith(item)
                and letter["path"].endswith(path)
            ):
                letters.remove(letter)
                break
        else:
            missing.append((reason, item, path))
    assert not missing
    assert not letters, "nothing else is rejected"


def test_every_dead_letter_says_what_was_found(raw):
    for path in (raw.folder / "dataset" / rejections.DEAD_LETTERS).iterdir():
        for line in path.open():
            letter = json.loads(line)
            assert letter["reason"] == path.stem
            assert letter["item"] and letter["detail"]


def test_in_is_out_and_rejected(raw):
    manifest = Manifest.load(raw.folder / "dataset")
    others = ("malformed_row", "malformed_record")
    images = [bad for bad in raw.bad if bad[0] not in others]
    assert manifest.images == {
        "in": len(raw.good) + len(images),
        "out": len(raw.good),
        "rejected": len(images),
    }
    assert len(raw.good) > 1000
    assert sum(manifest.rejected.values()) == len(raw.bad)


def test_every_reason_of_the_job_is_met(raw):
    assert {reason for reason, _, _ in raw.bad} == {
        *("duplicate_id", "missing_image", "no_annotation"),
        *("no_label_in_vocabulary", "unreadable_file", "unreadable_archive"),
        *("empty_file", "too_many_bytes", "too_many_pixels", "too_small"),
        *("not_an_image", "broken_image"),
        *("malformed_row", "malformed_record"),
    }


def test_good_images_have_their_labels(raw):
    vocabulary = load_classes.load_vocabulary(raw.folder / "dataset")
    found = read_examples(raw.folder / "dataset")
    annotated = {}
    for image_id, example in found.items():
        rules = ledger.rules_of(example[records.LABEL_LEDGER])
        (index,) = example[records.LABEL_ID][rules == Rule.ANNOTATED]
        annotated[image_id] = WNIDS.index(vocabulary[index].wnid)
    assert annotated == raw.good
