import json

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import webdataset
from beam_jobs.sources.reader import AnnotatedImage, Context
from tests.helpers.tars import write_tar


def find(path, *options, **further):
    return webdataset.READER.find(str(path), Context(options, **further))


def read(path, *options, **further):
    found = find(path, *options, **further)
    return [i for part in found.parts for i in webdataset.READER.read(part)]


def classes(images):
    return {image.image_id: image.classes for image in images}


def test_members_of_one_name_are_a_sample(tmp_path):
    path = tmp_path / "shard-0.tar"
    members = {
        "000.jpg": b"first",
        "000.cls": b"wine glass\n",
        "000.txt": b"",
        "x/001.v2.seg.png": b"mask",
        "x/001.JPEG": b"second",
        "x/001.json": json.dumps({"labels": ["n02084071", "cat"]}).encode(),
        "002.webp": b"third",
        "002.tags.txt": b"dog, cat",
    }
    write_tar(path, members)
    first, second, third = read(path)
    assert first._replace(ref=None) == AnnotatedImage(
        "webdataset/shard-0.tar/000",
        Source.WEBDATASET,
        ("webdataset:wine glass",),
        (1.0,),
    )
    assert second.image_id == "webdataset/shard-0.tar/x/001"
    assert second.classes == ("n02084071", "webdataset:cat")
    assert third.classes == ("webdataset:dog", "webdataset:cat")
    data = [ImageReader().read(i.ref) for i in (first, second, third)]
    assert data == [b"first", b"second", b"third"]
    assert {i.ref for i in read(path, labels_only=True)} == {None}


def test_malformed_samples_become_rejections(tmp_path):
    members = {
        "0.jpg": b"x",
        "0.cls": b"dog",
        "1.cls": b"dog",
        "2.jpg": b"x",
        "2.png": b"x",
        "3.jpg": b"x",
        "3.json": b'{"label": ',
        "3.cls": b"cat",
        "4.jpg": b"x",
        "4.json": b"[1]",
        "5.jpg": b"x",
        "5.cls": b"\xff",
        "6.jpg": b"x",
        "6.json": b"[" * 99_999,
        "7.jpg": b"x",
        "7.cls": b" " * (1 << 20) + b"x",
        "README": b"x",
        "\udcff.jpg": b"x",
        "8.jpg": b"x",
        "8.json": b'{"label": {"text": "dog"}}',
    }
    path = tmp_path / "a.tar"
    write_tar(path, members)
    found = read(path)
    images = {i.image_id[-1]: i.classes for i in found if hasattr(i, "ref")}
    # What has one image counts, with all that is sound.
    assert images == dict.fromkeys("45678", ()) | {
        "0": ("webdataset:dog",),
        "3": ("webdataset:cat",),
    }
    rejected = [i for i in found if isinstance(i, Rejection)]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_RECORD}
    items = [r.item.removeprefix(f"{path}/") for r in rejected]
    assert items == [*"1234567", "README", "\udcff", "8"]
    said = [r.detail for r in rejected]
    assert said[0] == "one image is needed; received: 1.cls"
    assert said[1] == "one image is needed; received: 2.jpg, 2.png"
    assert said[3] == "4.json: a JSON object is needed"
    assert said[4] == "5.cls: not UTF-8 text"
    assert "recursion" in said[5]
    assert said[6] == "7.cls: 1048577 bytes, over 1048576"


def test_numbers_get_names_from_beside_or_an_option(tmp_path):
    path = tmp_path / "a.tar"
    members = {"0.jpg": b"x", "0.cls": b"1", "1.jpg": b"x", "1.cls": b"7"}
    write_tar(path, members)
    with pytest.raises(InputError, match="a.tar/0: class 1 is a number"):
        find(path)
    names = tmp_path / "own.txt"
    names.write_text("cat\ndog\n")
    for options in ([("class_names", str(names))], []):
        good, bad, image = read(path, *options)
        assert image.classes == ()
        assert good.classes == ("webdataset:dog",)
        assert bad.detail == "class 7: there are 2 names"
        names.rename(tmp_path / "classes.txt")
        names = tmp_path / "classes.txt"
        if options:
            found = find(tmp_path)
            assert found.files == ((str(names), names.stat().st_size),)


def test_a_folder_of_tars_has_splits_in_its_names(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/train-0.tar", "val-0.tar"):
        write_tar(tmp_path / name, {"0.jpg": b"x", "0.cls": b"dog"})
    (tmp_path / "00000_stats.json").write_text("{}")
    (tmp_path / "00000.parquet").write_text("not read")
    assert list(classes(read(tmp_path))) == [
        "webdataset/b/train-0.tar/0",
        "webdataset/val-0.tar/0",
    ]
    parts = find(tmp_path, keep_splits=True).parts
    assert [p.option("split") for p in parts] == ["train", "validation"]
    assert len(find(tmp_path / "*.tar").parts) == 1
    assert find(tmp_path).passed_over == {".json": 1, ".parquet": 1}


def test_samples_may_be_files_side_by_side(tmp_path):
    for name, text in {
        "00000/000000000.jpg": "x",
        "00000/000000000.json": '{"label": "dog"}',
        "00000/000000001.jpg": "y",
        "00000/1.5.jpg": "z",
        "00000/1.5.txt": "A dog.",
        "00000.json": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = read(tmp_path)
    assert classes(found) == {
        "webdataset/00000/000000000": ("webdataset:dog",),
        "webdataset/00000/000000001": (),
        "webdataset/00000/1.5": ("captions:dog.n.01",),
    }
    assert found[0].ref == ImageRef(str(tmp_path / "00000/000000000.jpg"), 0, 1)


def test_a_broken_tar_among_others_is_no_refusal(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"")
    (tmp_path / "1.tar").write_bytes(b"x" * 600)
    write_tar(tmp_path / "2.tar", {"0.jpg": b"x", "0.cls": b"dog"})
    first, second, good = read(tmp_path)
    assert {first.reason, second.reason} == {Reason.UNREADABLE_ARCHIVE}
    assert good.image_id == "webdataset/2.tar/0"


def test_a_cut_off_tar_keeps_what_is_before(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, {"0.jpg": b"x", "0.cls": b"dog", "1.jpg": b"y" * 9999})
    path.write_bytes(path.read_bytes()[:3000])
    good, bad = read(path)
    assert good.classes == ("webdataset:dog",)
    assert isinstance(bad, Rejection)
    assert bad.reason == Reason.UNREADABLE_ARCHIVE


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.tar.gz", "no .tar in .*a.tar.gz is packed: unpack it to .tar"),
        ("a.txt", "no webdataset: no .tar in"),
        ("a.tar", "a sample with an image"),
    ],
)
def test_other_files_are_refused(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x" * 600)
    with pytest.raises(InputError, match=message):
        find(tmp_path)


def test_captions_are_a_source_of_their_own(tmp_path):
    path = tmp_path / "00000.tar"
    said = {"caption": "a dog and a zebra", "url": "https://x/1.jpg"}
    members = {
        "0.jpg": b"x",
        "0.txt": b"A zebra without a dog.",
        "1.jpg": b"x",
        "1.json": json.dumps(said).encode(),
        "2.jpg": b"x",
        "2.txt": b"",
    }
    write_tar(path, members)
    found = read(path)
    assert [(i.source, i.classes, i.confidences) for i in found] == [
        (Source.WEBDATASET, (), ()),
        (Source.CAPTIONS, ("captions:zebra.n.01",), (0.8,)),
        (Source.WEBDATASET, (), ()),
        (
            Source.CAPTIONS,
            ("captions:dog.n.01", "captions:zebra.n.01"),
            (0.8, 0.8),
        ),
        (Source.WEBDATASET, (), ()),
    ]
    assert found[0].image_id == found[1].image_id
    assert found[2].origin.source_url == "https://x/1.jpg"
