import csv
import hashlib
import io
import re
import tarfile
from collections import Counter

import pytest
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.scenes.catalogue import load_catalogue
from beam_jobs.scenes.write_scenes import SceneCounts, draw_unseen, write_scenes

CLASSES = len(load_catalogue())
OPTIONS = {
    "imagenet_images_per_class": 2,
    "open_images": 100,
    "image_size": 32,
    "seed": 5,
    "progress": False,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return folder, write_scenes(folder, **OPTIONS)


def digests(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(
            p.read_bytes()
        ).digest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def rows_of(folder, name):
    path = folder / "open_images" / name
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_counts(written):
    folder, counts = written
    assert counts == SceneCounts(CLASSES, 2 * CLASSES, 100, 1, 1, 1)
    assert sorted(p.name for p in folder.iterdir()) == [
        "imagenet",
        "open_images",
    ]


def test_same_seed_same_bytes_with_any_number_of_processes(written, tmp_path):
    write_scenes(tmp_path, **OPTIONS, processes=2)
    assert digests(tmp_path) == digests(written[0])


def test_another_seed_gives_other_images(written, tmp_path):
    write_scenes(tmp_path, **{**OPTIONS, "seed": 6})
    same = set(digests(tmp_path).values()) & set(digests(written[0]).values())
    # words.txt, the two class lists and the text file with an image's name.
    assert len(same) == 4


def test_imagenet_tars(written):
    folder = written[0] / "imagenet"
    tars = sorted((folder / "images").iterdir())
    assert [t.name for t in tars] == [f"{c.wnid}.tar" for c in load_catalogue()]
    for path in tars:
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            files = [tar.extractfile(m).read() for m in members]
        names = [f"{path.stem}_{n}.JPEG" for n in range(2)]
        assert [m.name for m in members] == names
        assert {m.mtime for m in members} == {0}
        for data in files:
            image = Image.open(io.BytesIO(data))
            image.load()
            assert (image.format, image.size) == ("JPEG", (32, 32))


def test_imagenet_words(written):
    text = (written[0] / "imagenet" / "words.txt").read_text()
    lines = text.splitlines()
    assert len(lines) == CLASSES
    assert "n02084071\tdog, domestic dog, Canis familiaris" in lines


def test_open_images_headers(written):
    folder = written[0] / "open_images"
    headers = {
        path.name: path.read_text().splitlines()[0]
        for path in folder.glob("*.csv")
    }
    assert headers == {
        "class-descriptions.csv": "LabelName,DisplayName",
        "wordnet-overrides.csv": "LabelName,WordNetId",
        "train-annotations-human-imagelabels.csv": (
            "ImageID,Source,LabelName,Confidence"
        ),
        "train-annotations-bbox.csv": (
            "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
            "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
        ),
        "train-images-with-labels-with-rotation.csv": (
            "ImageID,Subset,OriginalURL,OriginalLandingURL,License,"
            "AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,"
            "Thumbnail300KURL,Rotation"
        ),
    }


def test_open_images_classes(written):
    names = rows_of(written[0], "class-descriptions.csv")
    wnids = rows_of(written[0], "wordnet-overrides.csv")
    joined = {row["LabelName"]: [row["DisplayName"]] for row in names}
    for row in wnids:
        joined[row["LabelName"]].append(row["WordNetId"])
    assert sorted(joined.values()) == sorted(
        [c.name, c.wnid] for c in load_catalogue()
    )


def test_open_images_labels_are_what_the_boxes_show(written):
    labels = rows_of(written[0], "train-annotations-human-imagelabels.csv")
    boxes = rows_of(written[0], "train-annotations-bbox.csv")
    drawn = {(b["ImageID"], b["LabelName"]) for b in boxes}
    keys = [(row["ImageID"], row["LabelName"]) for row in labels]
    assert len(keys) == len(set(keys))
    verified = {"1": set(), "0": set()}
    for row, key in zip(labels, keys, strict=True):
        verified[row["Confidence"]].add(key)
    assert verified["1"] == drawn
    negatives = Counter(image_id for image_id, _ in verified["0"])
    assert set(negatives.values()) == {3}
    assert set(negatives) == {image_id for image_id, _ in drawn}


def test_open_images_boxes(written):
    boxes = rows_of(written[0], "train-annotations-bbox.csv")
    for box in boxes:
        assert 0 <= float(box["XMin"]) < float(box["XMax"]) <= 1
        assert 0 <= float(box["YMin"]) < float(box["YMax"]) <= 1
    objects = Counter(box["ImageID"] for box in boxes)
    assert (min(objects.values()), max(objects.values())) == (1, 5)


def test_every_class_is_in_the_open_images_part(written):
    boxes = rows_of(written[0], "train-annotations-bbox.csv")
    assert len({box["LabelName"] for box in boxes}) == CLASSES


def test_open_images_files_and_the_broken_ones(written):
    files = (written[0] / "open_images" / "images").rglob("*.jpg")
    ids, states = Counter(), Counter()
    for path in files:
        assert re.fullmatch(r"[0-9a-f]{16}", path.stem)
        ids[path.stem] += 1
        states[state_of(path)] += 1
    assert states == {"sound": 101, "truncated": 1, "not an image": 1}
    assert sorted(ids.values())[-2:] == [1, 2]
    rows = rows_of(written[0], "train-images-with-labels-with-rotation.csv")
    assert Counter(row["ImageID"] for row in rows) == ids


def state_of(path):
    try:
        image = Image.open(path)
    except OSError:
        return "not an image"
    try:
        image.load()
    except OSError:
        return "truncated"
    return "sound"


def test_nothing_is_broken_where_nothing_is_drawn(tmp_path):
    options = {"imagenet_images_per_class": 0, "open_images": 0}
    counts = write_scenes(tmp_path, **options, progress=False)
    assert counts == SceneCounts(CLASSES, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("imagenet_images_per_class", -1, "must be at least 0"),
        ("open_images", -1, "received: open_images=-1"),
        ("broken_images", -1, "received: broken_images=-1"),
        ("image_size", 15, "must be at least 16; received: image_size=15"),
        ("seed", -1, "received: seed=-1"),
    ],
)
def test_numbers_out_of_range(tmp_path, name, value, message):
    with pytest.raises(InputError, match=message):
        write_scenes(tmp_path / "out", **{**OPTIONS, name: value})
    assert not (tmp_path / "out").exists()


def test_parts_are_never_overwritten(tmp_path):
    (tmp_path / "open_images").mkdir()
    with pytest.raises(InputError, match="open_images already exists"):
        write_scenes(tmp_path, **OPTIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["open_images"]


def test_unseen_scenes(written, tmp_path):
    unseen = draw_unseen(tmp_path / "unseen", CLASSES, seed=5, image_size=32)
    names = {c.wnid: c.name for c in load_catalogue()}
    for scene in unseen:
        assert Image.open(scene.path).size == (32, 32)
        assert scene.names == tuple(names[w] for w in scene.wnids)
        assert 1 <= len(scene.wnids) == len(set(scene.wnids)) <= 5
    assert len({s.wnids[0] for s in unseen}) == CLASSES
    seen = set(digests(written[0]).values())
    assert not seen & set(digests(tmp_path).values())
    again = draw_unseen(tmp_path / "again", 3, seed=5, image_size=32)
    for a, b in zip(unseen[:3], again, strict=True):
        assert a.wnids == b.wnids
        assert a.path.read_bytes() == b.path.read_bytes()
