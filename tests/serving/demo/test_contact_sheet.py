import numpy as np
import pytest
from PIL import Image

from serving.api.prediction import Tag
from serving.demo.contact_sheet import SheetEntry, write_contact_sheet

TAGS = (
    Tag("dog", "n02084071", 0.9),
    Tag("cat", "n02121620", 0.8),
    Tag("soap", "n04257986", 0.4, is_tag=False),
)
THRESHOLDS = {"n02084071": 0.6, "n02121620": 0.6, "n04257986": 0.6}
GREEN, RED = (46, 139, 87), (192, 80, 77)
PALE_GREEN, PALE_RED = (188, 220, 203), (232, 198, 197)


@pytest.fixture
def image_path(tmp_path):
    Image.new("RGB", (32, 24), "orange").save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def colours(path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return set(map(tuple, pixels.reshape(-1, 3)))


def write(path, entries, thresholds=THRESHOLDS):
    write_contact_sheet(entries, path, thresholds, title="Tags")


def test_right_and_wrong_tags_differ_in_colour(image_path, tmp_path):
    write(tmp_path / "sheet.png", [SheetEntry(image_path, TAGS, ["dog"])])
    assert {GREEN, RED} <= colours(tmp_path / "sheet.png")


def test_what_misses_its_threshold_is_pale(image_path, tmp_path):
    write(tmp_path / "a.png", [SheetEntry(image_path, TAGS[2:], ["dog"])])
    write(tmp_path / "b.png", [SheetEntry(image_path, TAGS[2:], ["soap"])])
    wrong, right = (colours(tmp_path / name) for name in ("a.png", "b.png"))
    assert PALE_RED in wrong and RED not in wrong
    assert PALE_GREEN in right and GREEN not in right


def test_a_threshold_is_a_line_where_there_is_one(image_path, tmp_path):
    entries = [SheetEntry(image_path, TAGS[:1])]
    write(tmp_path / "none.png", entries, {})
    write(tmp_path / "never.png", entries, {"n02084071": float("inf")})
    write(tmp_path / "some.png", entries, {"n02084071": 0.6})
    none, never, some = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
        for name in ("none", "never", "some")
    )
    assert np.array_equal(none, never)
    columns = np.flatnonzero((none != some).any(axis=0))
    assert 1 <= len(columns) <= 6


def test_without_truth_nothing_is_called_wrong(image_path, tmp_path):
    write(tmp_path / "sheet.png", [SheetEntry(image_path, TAGS)])
    assert not {GREEN, RED} & colours(tmp_path / "sheet.png")


def test_equal_entries_give_equal_bytes(image_path, tmp_path):
    entries = [SheetEntry(image_path, TAGS, ["dog"])] * 4
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    write(one, entries)
    write(two, entries)
    assert one.read_bytes() == two.read_bytes()


def test_an_empty_sheet_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        write(tmp_path / "sheet.png", [])
