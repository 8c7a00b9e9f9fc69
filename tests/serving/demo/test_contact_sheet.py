import numpy as np
import pytest
from PIL import Image

from serving.api.prediction import Tag
from serving.demo.contact_sheet import SheetEntry, write_contact_sheet

TAGS = (Tag("dog", "n02084071", 0.9), Tag("cat", "n02121620", 0.4))


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (32, 24), "orange").save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def colours(path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return set(map(tuple, pixels.reshape(-1, 3)))


def test_right_and_wrong_tags_differ_in_colour(picture, tmp_path):
    entry = SheetEntry(picture, TAGS, ["dog"])
    write_contact_sheet([entry], tmp_path / "sheet.png", title="Tags")
    found = colours(tmp_path / "sheet.png")
    assert (46, 139, 87) in found
    assert (192, 80, 77) in found


def test_without_truth_nothing_is_called_wrong(picture, tmp_path):
    entry = SheetEntry(picture, TAGS)
    write_contact_sheet([entry], tmp_path / "sheet.png", title="Tags")
    assert (192, 80, 77) not in colours(tmp_path / "sheet.png")


def test_equal_entries_give_equal_bytes(picture, tmp_path):
    entries = [SheetEntry(picture, TAGS, ["dog"])] * 4
    for name in ("one.png", "two.png"):
        write_contact_sheet(entries, tmp_path / name, title="Tags")
    one, two = (tmp_path / name for name in ("one.png", "two.png"))
    assert one.read_bytes() == two.read_bytes()


def test_an_empty_sheet_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one picture"):
        write_contact_sheet([], tmp_path / "sheet.png", title="Tags")
