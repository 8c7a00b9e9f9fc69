import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import parquet
from beam_jobs.sources.find_sources import (
    SourcePaths,
    find_sources,
    read_part,
)
from beam_jobs.sources.reader import AnnotatedImage, Context, PackedImage


def hugging_face(features):
    content = {"info": {"features": features}}
    return {"huggingface": json.dumps(content)}


LABELS = {"_type": "ClassLabel", "names": ["cat", "wine glass"]}
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def image(data, path=None):
    return {"bytes": data, "path": path}


def write(path, columns, metadata=None, **options):
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, path, **options)
    return str(path)


def find(path, *options, **further):
    return parquet.READER.find(str(path), Context(options, **further))


def read(path, *options, **further):
    found = find(path, *options, **further)
    return [i for part in found.parts for i in parquet.READER.read(part)]


def row(name, *classes, ref=None):
    sure = (1.0,) * len(classes)
    return AnnotatedImage(f"parquet/{name}", Source.PARQUET, classes, sure, ref)


def test_images_of_hugging_face_have_the_names_of_their_classes(tmp_path):
    images = pa.array([image(b"one"), image(b"two", "x.jpg"), None], IMAGE)
    path = write(
        tmp_path / "train.parquet",
        {"image": images, "label": [1, -1, 0]},
        hugging_face({"image": {"_type": "Image"}, "label": LABELS}),
    )
    first, second, bad = read(path)
    assert first == PackedImage(
        row("train.parquet/0", "parquet:wine glass"), b"one"
    )
    assert second == PackedImage(row("train.parquet/1"), b"two")
    assert (bad.item, bad.detail) == (f"{path}:2", "no image")
    assert bad.reason == Reason.MALFORMED_RECORD


def test_the_row_groups_of_a_folder_are_read_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_PART_BYTES", 1)
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 2)
    (tmp_path / "data").mkdir()
    names = [b"0", b"1", b"2", b"3", b"4"]
    columns = {"jpg": names, "tags": [["dog"], [], ["cat", "dog"], None, []]}
    write(tmp_path / "data" / "a.parquet", columns, row_group_size=3)
    write(tmp_path / "b.parquet", columns)
    found = find(tmp_path)
    assert (len(found.parts), found.images) == (3, 10)
    (tmp_path / "README.md").write_text("x")
    assert find(tmp_path).passed_over == {".md": 1}
    packed = read(tmp_path)
    assert [p.image.image_id for p in packed] == [
        f"parquet/{name}/{number}"
        for name in ("b.parquet", "data/a.parquet")
        for number in range(5)
    ]
    assert [p.data for p in packed] == names * 2
    assert packed[2].image.classes == ("parquet:cat", "parquet:dog")
    assert read(tmp_path, labels_only=True) == [p.image for p in packed]


def test_lists_and_objects_of_numbered_classes(tmp_path):
    objects = [{"bbox": [[1, 2]], "category": [1]}]
    path = write(
        tmp_path / "a.parquet",
        {"image": [b"x"], "objects": objects},
        hugging_face(
            {"objects": {"feature": {"bbox": {}, "category": LABELS}}}
        ),
    )
    assert read(path)[0].image.classes == ("parquet:wine glass",)
    path = write(
        tmp_path / "b.parquet",
        {"image": [b"x"], "fine": [[0, 1]]},
        hugging_face({"fine": [LABELS]}),
    )
    assert len(read(path)[0].image.classes) == 2


def test_paths_are_found_beside_the_file_or_in_images(tmp_path):
    columns = {"file_name": ["a.jpg", ".."], "label": ["dog", "cat"]}
    path = write(tmp_path / "metadata.parquet", columns)
    good, bad = read(path)
    ref = ImageRef(str(tmp_path / "a.jpg"))
    assert good == row("a.jpg", "parquet:dog", ref=ref)
    assert bad.detail == "'..': a URL or a path is needed"
    assert read(path, ("images", "/p"))[0].ref == ImageRef("/p/a.jpg")
    assert read(path, labels_only=True)[0].ref is None


def test_a_path_stands_in_where_there_are_no_bytes(tmp_path):
    images = pa.array([image(None, "a.jpg")], IMAGE)
    path = write(tmp_path / "a.parquet", {"image": images, "label": ["dog"]})
    assert read(path)[0].ref == ImageRef(str(tmp_path / "a.jpg"))


def test_marks_and_confidences(tmp_path):
    path = write(
        tmp_path / "a.parquet", {"x": [b"x"], "cat": [False], "dog": [True]}
    )
    assert read(path)[0].image.classes == ("parquet:dog",)
    columns = {"x": [b"x"] * 2, "label": ["dog"] * 2, "confidence": [0.5, 2.0]}
    good, bad = read(write(tmp_path / "a.parquet", columns))
    assert good.image.confidences == (0.5,)
    assert bad.detail == "confidence '2.0', not 0 to 1 nor 0% to 100%"


def test_numbers_get_names_from_a_file(tmp_path):
    path = write(tmp_path / "a.parquet", {"jpg": [b"x"], "label": [1]})
    with pytest.raises(InputError, match="label holds numbers.*--class-names"):
        find(path)
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    names = ("class_names", str(tmp_path / "names.txt"))
    assert read(path, names)[0].image.classes == ("parquet:dog",)


@pytest.mark.parametrize(
    ("columns", "metadata", "message"),
    [
        ({"jpg": [b"x"]}, None, "needs an image column .*received: jpg;"),
        ({"a": [b"x"], "b": [b"x"], "label": ["d"]}, None, "image column"),
        (
            {"jpg": [b"x"], "fine": [1], "coarse": [1]},
            {"fine": LABELS, "coarse": LABELS},
            "labels are in fine and coarse; name other columns",
        ),
        ({"url": ["https://x/a"], "label": ["d"]}, None, "names URLs"),
    ],
)
def test_unclear_columns_are_refused(tmp_path, columns, metadata, message):
    metadata = metadata and hugging_face(metadata)
    path = write(tmp_path / "a.parquet", columns, metadata)
    with pytest.raises(InputError, match=message):
        find(path)


def test_a_column_is_chosen_by_name(tmp_path):
    columns = {"a": [b"x"], "b": [b"y"], "breed": ["dog"]}
    path = write(tmp_path / "a.parquet", columns)
    (packed,) = read(path, ("image_column", "b"), ("label_column", "breed"))
    assert (packed.data, packed.image.classes) == (b"y", ("parquet:dog",))


def test_other_files_are_refused_and_broken_pages_rejected(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match="a.parquet: not a Parquet file"):
        find(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no Parquet files"):
        find(tmp_path / "empty")
    write(
        tmp_path / "b.parquet", {"jpg": pa.array([], pa.binary()), "label": []}
    )
    with pytest.raises(InputError, match="rows are needed"):
        find(tmp_path / "b.parquet")
    columns = {"jpg": [bytes([i]) * 999 for i in range(9)], "label": ["d"] * 9}
    path = tmp_path / "b.parquet"
    write(path, columns, compression="NONE", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    (rejection,) = read(path)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == Reason.UNREADABLE_ARCHIVE


def test_the_split_of_a_column_or_file_name_is_kept(tmp_path):
    columns = {"jpg": [b"x"], "label": ["dog"]}
    write(tmp_path / "val-00000-of-00001.parquet", columns)
    paths = SourcePaths(parquet=(str(tmp_path),))
    found = find_sources(paths, keep_splits=True)
    assert found.has_splits
    (packed,) = read_part(found.parts[0])
    assert packed.image.split == "validation"
    path = write(tmp_path / "a.parquet", {**columns, "split": ["test"]})
    found = find(path, keep_splits=True)
    (packed,) = parquet.READER.read(found.parts[0])
    assert (found.has_splits, packed.image.split) == (True, "test")
    assert read(path)[0].image.split is None


def test_captions_stand_in_where_there_are_no_labels(tmp_path):
    columns = {"jpg": [b"x", b"y"], "caption": ["A zebra", None], "key": [1, 2]}
    path = write(tmp_path / "00000.parquet", columns)
    first, second = read(path)
    assert first.data == b"x"
    assert first.image.source == Source.CAPTIONS
    assert first.image.classes == ("captions:zebra.n.01",)
    assert first.image.confidences == (0.8,)
    assert second.image.classes == ()
    assert find(path).notes == (
        f"{path}: no labels: those of its captions are taken",
    )
    path = write(tmp_path / "a.parquet", {**columns, "label": ["dog", "cat"]})
    assert read(path)[0].image.classes == ("parquet:dog",)


def test_an_address_that_cannot_be_read_is_an_image_all_the_same(tmp_path):
    path = write(
        tmp_path / "a.parquet",
        {"path": ["ftp://h/a.jpg", ".."], "label": ["dog", "dog"]},
    )
    assert [(letter.reason, letter.item) for letter in read(path)] == [
        (Reason.BAD_URL, f"{path}:0"),
        (Reason.MALFORMED_RECORD, f"{path}:1"),
    ]
