import errno

import pytest

from beam_jobs.files.swap_folders import check_swap, swap_folders


def test_folders_are_exchanged(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    swap_folders(str(tmp_path / "one"), str(tmp_path / "other"))
    assert (tmp_path / "one" / "other").read_text() == "other"
    assert (tmp_path / "other" / "one").read_text() == "one"


def test_a_missing_folder_changes_nothing(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(OSError) as caught:
        swap_folders(str(tmp_path / "one"), str(tmp_path / "none"))
    assert caught.value.errno == errno.ENOENT
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


def test_the_check_leaves_nothing(tmp_path):
    check_swap(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
