"""What several sources say of one image, joined."""

import pytest

from beam_jobs.dataset_job.join_images import (
    count_classes,
    join_rows,
    read_rows,
)
from beam_jobs.dataset_job.read_annotations import AnnotationRows
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources.reader import AnnotatedImage

HUMAN, MACHINE = Source.OPEN_IMAGES_HUMAN, Source.OPEN_IMAGES_MACHINE
IMAGENET, TENCENT, CSV = Source.IMAGENET, Source.TENCENT, Source.CSV


def write(path, *images) -> str:
    rows = AnnotationRows()
    for image in images:
        rows.add(image)
    rows.write(str(path), partitions=1)
    return str(path)


def join(tmp_path, *files, need_files=True):
    paths = [
        write(tmp_path / f"{number}.arrow", *images)
        for number, images in enumerate(files)
    ]
    rows = read_rows(paths, 0)
    return rows, *join_rows(rows, need_files)


def content(rows, images):
    """Returns {id: (path, offset, rotation, {(key, confidence, source)})}."""
    found = {}
    for i, image_id in enumerate(images.image_ids.to_pylist()):
        values = range(images.row_splits[i], images.row_splits[i + 1])
        path = images.paths[i]
        found[image_id] = (
            rows.path_names[path] if path >= 0 else None,
            int(images.offsets[i]),
            int(images.rotations[i]),
            {
                (
                    rows.class_keys[images.classes[v]],
                    round(float(images.confidences[v]), 3),
                    Source(images.sources[v]),
                )
                for v in values
            },
        )
    return found


def named(image_id, path, offset=0, source=HUMAN, **more):
    return AnnotatedImage(
        image_id, source, ref=ImageRef(path, offset, 9), **more
    )


def said(image_id, *classes, source=HUMAN, confidence=1.0):
    return AnnotatedImage(
        image_id, source, classes, (confidence,) * len(classes)
    )


def test_rows_of_an_image_are_joined_across_files(tmp_path):
    rows, images, rejections, count = join(
        tmp_path,
        [said("a", "oi:dog"), named("a", "b.jpg"), named("b", "a.jpg")],
        [said("b", "oi:cat", "oi:dog", source=MACHINE, confidence=0.8)],
        [said("a", "oi:cat", confidence=0.0)],
        [AnnotatedImage("a", HUMAN, rotation=90)],
    )
    assert content(rows, images) == {
        "a": (
            "b.jpg",
            0,
            90,
            {("oi:dog", 1.0, HUMAN), ("oi:cat", 0.0, HUMAN)},
        ),
        "b": (
            "a.jpg",
            0,
            0,
            {("oi:cat", 0.8, MACHINE), ("oi:dog", 0.8, MACHINE)},
        ),
    }
    assert (rejections, count) == ([], 2)


def test_images_come_in_the_order_of_their_bytes(tmp_path):
    _, images, _, _ = join(
        tmp_path,
        [
            said("a", "x"),
            said("b", "x"),
            said("c", "x"),
            named("a", "two.tar", 5),
            named("b", "two.tar", 1),
            named("c", "one.tar", 7),
        ],
    )
    assert images.image_ids.to_pylist() == ["c", "b", "a"]


def test_a_second_file_of_an_id_is_rejected_with_its_classes(tmp_path):
    first = named(
        "a", "1.tar", source=IMAGENET, classes=("n1",), confidences=(1.0,)
    )
    second = named(
        "a", "2.tar", source=IMAGENET, classes=("n2",), confidences=(1.0,)
    )
    rows, images, rejections, count = join(tmp_path, [second], [first])
    assert content(rows, images) == {
        "a": ("1.tar", 0, 0, {("n1", 1.0, IMAGENET)})
    }
    assert [(r.reason, r.item, r.path) for r in rejections] == [
        (Reason.DUPLICATE_ID, "a", "2.tar")
    ]
    assert count == 2


def test_missing_files_and_missing_annotations(tmp_path):
    _, images, rejections, count = join(
        tmp_path, [said("gone", "x"), named("silent", "s.jpg")]
    )
    assert len(images) == 0
    assert sorted((r.reason, r.item) for r in rejections) == [
        (Reason.MISSING_IMAGE, "gone"),
        (Reason.NO_ANNOTATION, "silent"),
    ]
    assert count == 2


def test_labels_alone_need_no_files(tmp_path):
    rows, images, rejections, count = join(
        tmp_path, [said("a", "x", source=TENCENT)], need_files=False
    )
    assert content(rows, images) == {"a": (None, 0, 0, {("x", 1.0, TENCENT)})}
    assert (rejections, count) == ([], 1)


def test_rotations_that_disagree_are_reported(tmp_path):
    rows, images, rejections, count = join(
        tmp_path,
        [said("a", "x"), named("a", "a.jpg")],
        [AnnotatedImage("a", HUMAN, rotation=r) for r in (180, 90, 180)],
    )
    assert content(rows, images)["a"][2] == 90
    (rejection,) = rejections
    assert rejection.reason == Reason.MALFORMED_ROW
    assert rejection.detail == "rotations 90 and 180; 90 is used"
    assert count == 1


def test_the_order_of_files_makes_no_difference(tmp_path):
    one = [said("a", "x", "y"), said("b", "x", confidence=0.9)]
    two = [said("a", "y", source=MACHINE, confidence=0.8), said("c", "z")]
    forward = join(tmp_path, one, two, need_files=False)[1]
    (tmp_path / "other").mkdir()
    back = join(tmp_path / "other", two, one, need_files=False)[1]

    def by_id(images):
        order = images.image_ids.to_pylist()
        return {
            image_id: [
                column[images.row_splits[i] : images.row_splits[i + 1]].tolist()
                for column in (
                    images.classes,
                    images.confidences,
                    images.sources,
                )
            ]
            for i, image_id in enumerate(order)
        }

    assert by_id(forward) == by_id(back)


def test_an_image_counts_once_for_a_class(tmp_path):
    rows, images, _, _ = join(
        tmp_path,
        [
            said("a", "dog", "cat"),
            said("a", "dog", source=MACHINE, confidence=0.9),
            said("b", "dog", confidence=0.6),
            said("c", "dog", source=TENCENT),
            said("d", "dog", confidence=0.7),
        ],
        need_files=False,
    )
    assert count_classes(images, rows.class_keys, 0.7) == {
        "open_images": {"dog": 2, "cat": 1},
        "tencent": {"dog": 1},
    }


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(tmp_path, count):
    images = [said(str(i), "x") for i in range(count)]
    rows, found, _, total = join(
        tmp_path, [said("z", "x"), *images], need_files=False
    )
    assert (len(found), total) == (count + 1, count + 1)


def test_rows_that_name_one_file_are_one_image(tmp_path):
    def row(path, confidence, *classes):
        return AnnotatedImage(
            "a", CSV, classes, (confidence,) * len(classes), ImageRef(path)
        )

    rows, images, rejections, count = join(
        tmp_path,
        [row("1.jpg", 0.5, "x"), row("1.jpg", 1.0, "y"), row("2.jpg", 1, "z")],
        [row("1.jpg", 0.75, "x"), row("1.jpg", 0.0, "x"), row("2.jpg", 1, "w")],
    )
    assert content(rows, images) == {
        "a": ("1.jpg", 0, 0, {("x", 0.75, CSV), ("y", 1.0, CSV)})
    }
    assert images.row_splits.tolist() == [0, 2]
    assert [(r.reason, r.path) for r in rejections] == [
        (Reason.DUPLICATE_ID, "2.jpg")
    ]
    assert count == 2
