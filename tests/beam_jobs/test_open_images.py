import pytest

from beam_jobs import open_images
from beam_jobs.annotations import Reason, Rejection
from beam_jobs.errors import InputError
from beam_jobs.open_images import LabelRow
from beam_jobs.records import Source

HEADER = "ImageID,Source,LabelName,Confidence\n"
HUMAN = Source.OPEN_IMAGES_HUMAN


def write(folder, **contents):
    (folder / "images").mkdir()
    for name, text in contents.items():
        (folder / f"{name.replace('_', '-')}.csv").write_text(text)
    return str(folder)


GOOD = {
    "train_annotations_human_imagelabels": HEADER + "a,verification,/m/0,1\n",
    "class_descriptions": "LabelName,DisplayName\n/m/0,Dog\n",
}


def test_finds_files_by_their_published_names(tmp_path):
    images = "ImageID,Rotation\na,90.0\n"
    folder = write(
        tmp_path, **GOOD, train_images_with_labels_with_rotation=images
    )
    found = open_images.find_files(folder)
    assert found.human_labels == (
        f"{folder}/train-annotations-human-imagelabels.csv",
    )
    assert found.machine_labels == ()
    assert len(found.images) == 1
    assert found.overrides is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_descriptions": None}, "class-descriptions.csv is needed"),
        (
            {"train_annotations_human_imagelabels": None},
            "train-annotations-human-imagelabels.csv is needed",
        ),
        (
            {"train_annotations_human_imagelabels": ""},
            "imagelabels.csv:1: the header lacks.*an empty file",
        ),
        (
            {"train_annotations_human_imagelabels": HEADER},
            "a header and no rows",
        ),
        (
            {"train_annotations_human_imagelabels": "ImageID,Label\na,b\n"},
            "csv:1: the header lacks Source, LabelName, Confidence",
        ),
        (
            {"train_annotations_human_imagelabels": HEADER + "a,b\n"},
            "csv:2: 4 fields are needed.*received: 2",
        ),
    ],
)
def test_refuses_bad_folders_before_the_job(tmp_path, changes, message):
    contents = {k: v for k, v in (GOOD | changes).items() if v is not None}
    with pytest.raises(InputError, match=message):
        open_images.find_files(write(tmp_path, **contents))


def test_refuses_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_images.find_files(str(tmp_path / "none"))


def test_refuses_binary_csv(tmp_path):
    folder = write(tmp_path, **GOOD)
    labels = tmp_path / "train-annotations-human-imagelabels.csv"
    labels.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(InputError, match="not a CSV file"):
        open_images.find_files(folder)


def test_bad_rows_become_rejections_with_their_line(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        HEADER
        + "a,verification,/m/0,1\n"
        + "a,verification\n"
        + "b,verification,/m/0,yes\n"
        + "c,verification,/m/0,1.5\n"
        + "d,verification,/m/0,0\n"
    )
    rows = list(open_images.read_labels(str(path), HUMAN))
    assert rows[0] == LabelRow("a", "/m/0", 1.0, HUMAN)
    assert rows[-1] == LabelRow("d", "/m/0", 0.0, HUMAN)
    rejected = [row for row in rows if isinstance(row, Rejection)]
    assert [r.item for r in rejected] == [f"{path}:{n}" for n in (3, 4, 5)]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_ROW}
    assert rejected[0].detail == "2 fields, not 4"


def test_rotations(tmp_path):
    path = tmp_path / "images.csv"
    path.write_text("ImageID,Rotation\na,\nb,270.0\nc,45\nd,inf\n")
    rows = list(open_images.read_rotations(str(path)))
    assert rows[:2] == [("a", 0), ("b", 270)]
    assert [row.detail for row in rows[2:]] == [
        "Rotation '45', not 0, 90, 180 or 270",
        "Rotation 'inf', not 0, 90, 180 or 270",
    ]


def test_display_names_with_and_without_header(tmp_path):
    (tmp_path / "a.csv").write_text('/m/0,Dog\n/m/1,"Cat, house"\n')
    names = open_images.read_display_names((str(tmp_path / "a.csv"),))
    assert names == {"/m/0": "Dog", "/m/1": "Cat, house"}


def test_malformed_class_names_file_and_line(tmp_path):
    (tmp_path / "a.csv").write_text("LabelName,DisplayName\nDog\n")
    with pytest.raises(InputError, match="a.csv:2: a label name"):
        open_images.read_display_names((str(tmp_path / "a.csv"),))
