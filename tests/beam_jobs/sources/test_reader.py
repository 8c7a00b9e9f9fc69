import pytest

from beam_jobs.errors import InputError
from beam_jobs.files import text_files
from beam_jobs.files.text_files import BadRow
from beam_jobs.images.image_names import AddressError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import (
    AnnotatedImage,
    Context,
    Part,
    check_start,
    group_files,
    image_in_file,
    malformed,
)


def test_lines_of_windows_and_with_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert list(text_files.read_lines(str(path))) == ["one", "two"]


def test_bad_text_harms_its_line_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\xff\xfe\nthree\n")
    lines = list(text_files.read_lines(str(path)))
    assert lines == ["one", BadRow("not UTF-8 text"), "three"]


def test_endless_line_is_cut_and_the_next_one_read(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n" + b"x" * (5 << 20) + b"\nthree\n")
    lines = list(text_files.read_lines(str(path)))
    assert lines == ["one", BadRow("a line of over 1048576 bytes"), "three"]


def test_files_are_grouped_by_bytes_and_by_number():
    found = [("a", 5), ("b", 5), ("c", 20), ("d", 1), ("e", 1)]
    parts = group_files("k", found, max_bytes=10, max_files=2)
    assert [part.files for part in parts] == [
        (("a", 5), ("b", 5)),
        (("c", 20),),
        (("d", 1), ("e", 1)),
    ]
    assert [part.path for part in parts] == ["a", "c", "d"]


def test_options_of_a_part():
    part = Part("k", "a", options=(("images", "x"), ("images", "y")))
    assert part.values("images") == ("x", "y")
    assert part.option("images") == "x"
    assert part.option("dictionary") is None


def test_start_without_a_sound_row_is_wrong_input():
    bad = Rejection(Reason.MALFORMED_ROW, "a.txt:1", "no number", "a.txt")
    good = AnnotatedImage("x/1", Source.CSV)
    part = Part("k", "a.txt")
    check_start(part, lambda _: iter([bad, good]), "a row")
    with pytest.raises(InputError, match="a.txt:1: no number; a row is needed"):
        check_start(part, lambda _: iter([bad, bad]), "a row")
    with pytest.raises(InputError, match="a.txt: a row is needed.*no row"):
        check_start(part, lambda _: iter([]), "a row")


def test_an_entry_with_an_address_of_elsewhere_counts_as_an_image():
    letters = [
        malformed("a.json", "[3]", AddressError("no store")),
        malformed("a.json", 7, ValueError("no id")),
    ]
    assert letters == [
        Rejection(Reason.BAD_URL, "a.json:[3]", "no store", "a.json"),
        Rejection(Reason.MALFORMED_RECORD, "a.json:7", "no id", "a.json"),
    ]


def test_an_image_in_a_file_is_named_by_its_path_in_the_folder():
    options = [("folder", "s/")]
    part = Part("k", "s/val/a.jpg", options=tuple(options))
    file = ("s/val/a.jpg", 5)
    assert image_in_file(part, file, Source.YOLO, ("yolo:dog",)) == (
        AnnotatedImage(
            "yolo/val/a.jpg",
            Source.YOLO,
            ("yolo:dog",),
            (1.0,),
            ImageRef("s/val/a.jpg", 0, 5),
        )
    )
    context = Context(labels_only=True, keep_splits=True)
    part = Part("k", "", options=tuple(context.part_options(*options)))
    assert image_in_file(part, file, Source.YOLO, ()) == AnnotatedImage(
        "yolo/val/a.jpg", Source.YOLO, split="validation"
    )
