import json
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.errors import InputError
from beam_jobs.rejections import Rejection
from beam_jobs.sources.find_sources import (
    OPTIONS,
    READERS,
    SourcePaths,
    find_sources,
    read_part,
)
from beam_jobs.sources.reader import AnnotatedImage

LABELS = "train-annotations-human-imagelabels.csv"
DICTIONARY = (
    "category_index\tcategory_id\tindex_of_parent_category\tcategory name\n"
    "0\tn00000001\t-1\tthing\n1\tn00000002\t0\tdog\n"
)
COCO = {
    "images": [{"id": 1, "file_name": "c.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 2}],
    "categories": [{"id": 2, "name": "dog"}],
}
VOC = "<annotation><object><name>dog</name></object></annotation>"


@pytest.fixture
def root(tmp_path):
    """One small source of every kind but the TFRecords."""
    contents = {
        "imagenet/n00000001/n00000001_1.JPEG": "picture",
        "imagenet.txt": "n00000002/n00000002_1.JPEG\n",
        "open_images/images/a.jpg": "picture",
        f"open_images/{LABELS}": (
            "ImageID,Source,LabelName,Confidence\na,verification,/m/0,1\n"
        ),
        "open_images/class-descriptions.csv": "/m/0,Dog\n",
        "open_images/wordnet-overrides.csv": (
            "LabelName,WordNetId\n/m/0,n02084071\ncoco:dog,n02084071\n"
        ),
        "tencent.txt": "https://example.org/a.jpg\t1:0.9\n",
        "coco.json": json.dumps(COCO),
        "voc/Annotations/v.xml": VOC,
        "voc/JPEGImages/v.jpg": "picture",
        "labels.csv": "image,label\np.jpg,dog\n",
        "folders/dog/f.jpg": "picture",
        "dictionary.txt": DICTIONARY,
    }
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "pictures").mkdir()
    return tmp_path


def all_paths(root, **changes):
    paths = {
        "imagenet": (f"{root}/imagenet",),
        "imagenet_lists": (f"{root}/imagenet.txt",),
        "open_images": (f"{root}/open_images",),
        "tencent_lists": (f"{root}/tencent.txt",),
        "coco": (f"{root}/coco.json",),
        "voc": (f"{root}/voc",),
        "csv": (f"{root}/labels.csv",),
        "folders": (f"{root}/folders",),
        "images": (f"{root}/pictures",),
        "dictionary": f"{root}/dictionary.txt",
    }
    return SourcePaths(**(paths | changes))


def read(sources):
    return [item for part in sources.parts for item in read_part(part)]


def test_every_kind_of_source(root):
    sources = find_sources(all_paths(root))
    items = read(sources)
    assert not [item for item in items if isinstance(item, Rejection)]
    assert sorted({(i.image_id, i.classes) for i in items}) == [
        ("coco/c.jpg", ("coco:dog",)),
        ("csv/p.jpg", ("csv:dog",)),
        ("folders/dog/f.jpg", ("folders:dog",)),
        ("imagenet/n00000001_1", ("n00000001",)),
        ("imagenet/n00000002_1", ("n00000002",)),
        ("open_images/a", ()),
        ("open_images/a", ("oi:/m/0",)),
        ("tencent/https://example.org/a.jpg", ("n00000002",)),
        ("voc/v.jpg", ("voc:dog",)),
    ]
    assert sources.display_names == {"oi:/m/0": "Dog"}
    assert sources.overrides == {
        "oi:/m/0": "n02084071",
        "coco:dog": "n02084071",
    }
    assert sources.estimated_images >= 3
    located = {item.image_id for item in items if item.ref}
    assert located == {item.image_id for item in items}


def test_listing_names_every_file_with_its_bytes(root):
    listing = dict(find_sources(all_paths(root)).listing)
    read_files = {
        str(path): path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and "JPEGImages" not in str(path)
    }
    assert listing == read_files


def test_labels_alone_need_no_pictures(root):
    (root / "open_images" / "images" / "a.jpg").unlink()
    sources = find_sources(all_paths(root, images=()), labels_only=True)
    items = read(sources)
    assert {item.ref for item in items} == {None}
    assert len(items) == 8
    assert all(isinstance(item, AnnotatedImage) for item in items)


def test_parts_are_the_same_every_time_and_travel(root):
    first, second = (find_sources(all_paths(root)) for _ in range(2))
    assert first == second
    assert pickle.loads(pickle.dumps(first.parts)) == first.parts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dictionary": None}, "--tencent-lists needs.*--dictionary FILE"),
        ({"images": ()}, "--imagenet-lists needs.*--images FOLDER"),
        ({"dictionary": "/none"}, "no such file: /none"),
        ({"images": ("/none",)}, "images: no such folder: /none"),
        ({"voc": ("/none",)}, "Pascal VOC source: no such folder: /none"),
        ({"csv": ("/none.csv",)}, "CSV source: no such file: /none.csv"),
    ],
)
def test_refuses_what_is_missing_before_the_job(root, changes, message):
    with pytest.raises(InputError, match=message):
        find_sources(all_paths(root, **changes))


def test_refuses_lists_that_are_none(root):
    (root / "tencent.txt").write_text("some words\nand more\n")
    with pytest.raises(InputError, match="tencent.txt:1: 'words': class:conf"):
        find_sources(all_paths(root))
    (root / "imagenet.txt").write_text("a.JPEG\n")
    with pytest.raises(InputError, match="imagenet.txt:1: 'a.JPEG': an image"):
        find_sources(all_paths(root))


def test_refuses_open_images_without_pictures(root):
    (root / "open_images" / "images" / "a.jpg").unlink()
    paths = SourcePaths(open_images=(f"{root}/open_images",))
    with pytest.raises(InputError, match="no image left.*open_images .Folder"):
        find_sources(paths)
    assert len(read(find_sources(paths, labels_only=True))) == 1


def test_refuses_no_source():
    with pytest.raises(InputError, match="nothing.*--imagenet FOLDER, "):
        find_sources(SourcePaths())


def test_options_and_paths_follow_from_the_readers():
    names = [reader.name for reader in READERS]
    assert len(set(names)) == len(names)
    assert [o.name for o in OPTIONS] == [
        *names,
        "images",
        "dictionary",
        "mask_classes",
        "image_column",
        "label_column",
        "label_separator",
        "class_names",
    ]
    assert list(vars(SourcePaths())) == [o.name for o in OPTIONS]
    assert dict.fromkeys(names, ()) == {
        name: getattr(SourcePaths(), name) for name in names
    }


def test_parts_name_their_reader_and_hold_what_it_takes(root):
    parts = find_sources(all_paths(root)).parts
    assert [part.reader for part in parts] == [
        "imagenet",
        "imagenet_lists",
        "open_images",
        "open_images",
        "tencent_lists",
        "coco",
        "voc",
        "csv",
        "folders",
    ]
    dictionary = ("dictionary", f"{root}/dictionary.txt")
    images = ("images", f"{root}/pictures")
    by_reader = {part.reader: part.options for part in parts}
    assert by_reader["voc"] == (("folder", f"{root}/voc"),)
    assert by_reader["coco"] == (images,)
    assert by_reader["tencent_lists"] == (images, dictionary)


def test_estimates_by_files_or_by_bytes(root):
    row = "https://example.org/{}.jpg\t1:0.9\n"
    text = "".join(row.format(number) for number in range(1000))
    (root / "tencent.txt").write_text(text)
    paths = SourcePaths(
        voc=(f"{root}/voc",),
        tencent_lists=(f"{root}/tencent.txt",),
        images=(f"{root}/pictures",),
        dictionary=f"{root}/dictionary.txt",
    )
    # An annotation file an image; 120 bytes a row of a list.
    assert find_sources(paths).estimated_images == 1 + len(text) // 120


def test_files_of_a_split_are_kept_by_their_name(root):
    (root / "coco.json").rename(root / "instances_val2017.json")
    (root / "tencent.txt").rename(root / "train_urls.txt")
    paths = all_paths(
        root,
        coco=(str(root / "instances_val2017.json"),),
        tencent_lists=(str(root / "train_urls.txt"),),
    )
    found = find_sources(paths, labels_only=True, keep_splits=True)
    assert found.has_splits
    splits = {
        image.image_id: image.split
        for part in found.parts
        for image in read_part(part)
        if isinstance(image, AnnotatedImage)
    }
    assert splits["coco/c.jpg"] == "validation"
    assert splits["open_images/a"] == "train"
    assert splits["tencent/https://example.org/a.jpg"] == "train"
    assert splits["csv/p.jpg"] is None
    assert not find_sources(paths).has_splits


def test_packed_images_need_room_for_the_job(root):
    path = root / "a.parquet"
    pq.write_table(pa.table({"jpg": [b"x"], "label": ["dog"]}), path)
    paths = all_paths(root, parquet=(str(path),))
    assert find_sources(paths).packed_bytes == path.stat().st_size
    assert find_sources(paths, labels_only=True).packed_bytes == 0
    assert find_sources(all_paths(root)).packed_bytes == 0


def ids(**paths):
    parts = find_sources(SourcePaths(**paths)).parts
    return sorted(i.image_id for part in parts for i in read_part(part))


def test_images_of_one_name_in_two_folders_are_two(tmp_path):
    for name in ("x/data/dog/1.jpg", "y/data/dog/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    one, other = (str(tmp_path / name / "data") for name in "xy")
    assert ids(folders=(one,)) == ["folders/dog/1.jpg"]
    assert ids(folders=(one, other)) == [
        "folders/x/data/dog/1.jpg",
        "folders/y/data/dog/1.jpg",
    ]


def test_tables_with_images_of_their_own_have_ids_of_their_own(tmp_path):
    tables = []
    for name in ("a/one.csv", "a/two.csv", "b/one.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("image,label\n1.jpg,dog\n")
        tables.append(str(path))
    # Two tables in one folder speak of the same image.
    assert ids(csv=tuple(tables[:2])) == ["csv/1.jpg"] * 2
    assert ids(csv=tuple(tables)) == ["csv/a/1.jpg"] * 2 + ["csv/b/1.jpg"]
    shared = (str(tmp_path / "a"),)
    assert ids(csv=tuple(tables), images=shared) == ["csv/1.jpg"] * 3
