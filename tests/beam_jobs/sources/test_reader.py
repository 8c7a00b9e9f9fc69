import pytest

from beam_jobs.errors import InputError
from beam_jobs.files import text_files
from beam_jobs.files.text_files import BadRow
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import (
    AnnotatedImage,
    MalformedRows,
    Part,
    check_start,
    cut_text,
    group_files,
)


@pytest.mark.parametrize("part_bytes", [1, 2, 3, 7, 10, 100])
@pytest.mark.parametrize("end", ["", "\n"])
def test_every_line_is_in_exactly_one_part(tmp_path, part_bytes, end):
    path = tmp_path / "a.txt"
    text = "one\ntwo\n\nthree é\nfour" + end
    path.write_text(text, encoding="utf-8")
    size = path.stat().st_size
    parts = cut_text("kind", str(path), size, part_bytes=part_bytes)
    assert parts[0].start == 0
    assert parts[-1].end == size
    lines = [line for part in parts for line in part.lines()]
    assert lines == ["one", "two", "", "three é", "four"]


def test_every_part_knows_the_numbers_of_its_lines(tmp_path):
    path = tmp_path / "a.txt"
    lines = [str(n) * (1 + n % 5) for n in range(1, 60)]
    path.write_text("\n".join(lines) + "\n")
    found = []
    for part in cut_text("k", str(path), path.stat().st_size, part_bytes=11):
        reject = MalformedRows(part)
        for index, line in enumerate(part.lines()):
            found.append((reject(index, "bad").item, line))
    numbered = enumerate(lines, start=1)
    assert found == [(f"{path}:{n}", line) for n, line in numbered]


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
