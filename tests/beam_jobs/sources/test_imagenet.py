from pathlib import PurePath

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import imagenet
from beam_jobs.sources.reader import AnnotatedImage, Context, Part
from tests.helpers.tars import write_tar

ID = "n00000002"
DICTIONARY = (
    "category_index\tcategory_id\tindex_of_parent_category\tcategory name\n"
    "0\tn00000001\t-1\tthing\n1\tn00000002\t0\tdog\n"
)


def read(folder, **options):
    parts = imagenet.FOLDERS.find(str(folder), Context(**options)).parts
    return [item for part in parts for item in imagenet.FOLDERS.read(part)]


def test_members_of_tars_with_their_place(tmp_path):
    tar = tmp_path / "n00000002.tar"
    write_tar(tar, {f"{ID}_1.JPEG": b"abc", f"{ID}_2.JPEG": b"de"})
    assert read(tmp_path) == [
        AnnotatedImage(
            f"imagenet/n00000002_{number}",
            Source.IMAGENET,
            ("n00000002",),
            (1.0,),
            ImageRef(str(tar), offset, length),
        )
        for number, offset, length in ((1, 512, 3), (2, 1536, 2))
    ]


def test_hidden_files_and_members_are_no_images(tmp_path):
    members = {"n00000002_1.JPEG": b"abc", "._n00000002_1.JPEG": b"de"}
    write_tar(tmp_path / f"{ID}.tar", members | {"__MACOSX/a.JPEG": b"f"})
    write_tar(tmp_path / f"._{ID}.tar", members)
    (tmp_path / "n00000001").mkdir()
    (tmp_path / "n00000001" / "._a.JPEG").write_bytes(b"g")
    assert [image.image_id for image in read(tmp_path)] == [
        "imagenet/n00000002_1"
    ]


def test_files_of_folders_with_their_bytes(tmp_path):
    nested = tmp_path / "train" / "n00000001" / "images"
    nested.mkdir(parents=True)
    (nested / "a.JPEG").write_bytes(b"abcd")
    (nested / "boxes.txt").write_bytes(b"x")
    assert read(tmp_path) == [
        AnnotatedImage(
            "imagenet/a",
            Source.IMAGENET,
            ("n00000001",),
            (1.0,),
            ImageRef(f"{nested}/a.JPEG", 0, 4),
        )
    ]


def test_labels_alone_have_no_place(tmp_path):
    write_tar(tmp_path / "n00000002.tar", {f"{ID}_1.JPEG": b"abc"})
    (image,) = read(tmp_path, labels_only=True)
    assert image.ref is None
    assert image.classes == ("n00000002",)


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(1024, id="no second member, no end"),
        pytest.param(1100, id="half a header"),
        pytest.param(1537, id="half a member"),
    ],
)
def test_broken_tar_gives_what_lies_before_the_break(tmp_path, there):
    tar = tmp_path / "n00000002.tar"
    write_tar(tar, {f"{ID}_1.JPEG": b"abc", f"{ID}_2.JPEG": b"de"})
    tar.write_bytes(tar.read_bytes()[:there])
    first, rejection = read(tmp_path)
    assert first.image_id == "imagenet/n00000002_1"
    assert rejection.reason == Reason.UNREADABLE_ARCHIVE
    assert rejection.path == str(tar)


def test_small_files_share_a_part(tmp_path):
    for number in range(5):
        write_tar(tmp_path / f"n0000000{number}.tar", {"x.JPEG": b"abc"})
    found = imagenet.FOLDERS.find(str(tmp_path), Context())
    (part,) = found.parts
    assert [path[-13:] for path, _ in part.files] == [
        f"n0000000{number}.tar" for number in range(5)
    ]
    assert found.images == 5
    assert found.wnids == tuple(f"n0000000{number}" for number in range(5))


def test_refuses_folder_without_synsets(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="no ImageNet images"):
        imagenet.FOLDERS.find(str(tmp_path), Context())


def test_rows_of_a_list(tmp_path):
    (tmp_path / "list.txt").write_text(
        "n00000002/n00000002_1.JPEG\n"
        "n00000002/n00000002_2 7\n"
        "\n"
        "train/n00000001/b.JPEG\n"
        "b.JPEG\n"
        "../n00000001/b.JPEG\n"
    )
    path = str(tmp_path / "list.txt")
    part = Part("", path, options=(("images", "/p"),))

    def image(image_id, wnid, file):
        return AnnotatedImage(
            f"imagenet/{image_id}",
            Source.IMAGENET,
            (wnid,),
            (1.0,),
            ImageRef(f"/p/{file}"),
        )

    rows = list(imagenet.read_list(part))
    assert rows[:3] == [
        image("n00000002_1", "n00000002", "n00000002/n00000002_1.JPEG"),
        image("n00000002_2", "n00000002", "n00000002/n00000002_2.JPEG"),
        image("b", "n00000001", "train/n00000001/b.JPEG"),
    ]
    assert [(r.reason, r.item) for r in rows[3:]] == [
        (Reason.MALFORMED_ROW, f"{path}:5"),
        (Reason.MALFORMED_ROW, f"{path}:6"),
    ]


def test_rows_of_a_list_with_further_classes(tmp_path):
    (tmp_path / "dictionary.txt").write_text(DICTIONARY)
    (tmp_path / "list.txt").write_text(
        "n00000002/n00000002_1.JPEG\t1:1\t0:0.9\nn00000002/x.JPEG\t2:1\n"
    )
    path = str(tmp_path / "list.txt")
    options = (("dictionary", str(tmp_path / "dictionary.txt")),)
    image_id = "imagenet/n00000002_1"
    assert list(imagenet.read_list(Part("", path, options=options))) == [
        AnnotatedImage(image_id, Source.IMAGENET, ("n00000002",), (1.0,)),
        AnnotatedImage(
            image_id, Source.TENCENT, ("n00000002", "n00000001"), (1.0, 0.9)
        ),
        Rejection(
            Reason.MALFORMED_ROW,
            f"{path}:2",
            "class 2: the dictionary has 2 classes",
            path,
        ),
    ]


def test_nothing_among_the_images_is_passed_over(tmp_path):
    folder = tmp_path / "n00000001"
    folder.mkdir()
    for name in ("a.jfif", "b", "c.svg", "boxes.txt"):
        (folder / name).write_bytes(b"x")
    packed = tmp_path / "n00000002.tar.gz"
    packed.write_bytes(b"x")
    *images, rejection = read(tmp_path)
    assert [PurePath(i.ref.path).name for i in images] == [
        "a.jfif",
        "b",
        "c.svg",
    ]
    assert (rejection.reason, rejection.item) == (
        Reason.UNREADABLE_ARCHIVE,
        str(packed),
    )


def test_an_empty_tar_says_nothing_of_how_many_images_there_are(tmp_path):
    wnid = "n00000001"
    members = {f"{i}.JPEG": bytes(5000) for i in range(8)}
    write_tar(tmp_path / f"{wnid}.tar", members)
    (tmp_path / "n00000002.tar").write_bytes(b"")
    (tmp_path / "n00000003.tar").write_bytes(b"no archive")
    found = imagenet.FOLDERS.find(str(tmp_path), Context())
    assert found.images == 8
    items = [i for part in found.parts for i in imagenet.FOLDERS.read(part)]
    assert sorted(i.path for i in items if isinstance(i, Rejection)) == [
        str(tmp_path / f"n0000000{n}.tar") for n in (2, 3)
    ]


def test_the_split_of_folders_is_kept(tmp_path):
    for split in ("train", "val"):
        folder = tmp_path / split / "n00000001"
        folder.mkdir(parents=True)
        (folder / f"{split}_1.JPEG").write_bytes(b"abc")
    kept = {i.image_id: i.split for i in read(tmp_path, keep_splits=True)}
    assert kept == {
        "imagenet/train_1": "train",
        "imagenet/val_1": "validation",
    }
    assert {i.split for i in read(tmp_path)} == {None}
