import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.checks import check_output_file


def test_a_file_can_be_written_where_folders_can_be_made(tmp_path):
    check_output_file(str(tmp_path / "new" / "map.csv"))
    (tmp_path / "old.csv").write_text("x")
    check_output_file(str(tmp_path / "old.csv"))
    check_output_file("map.csv")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder; a file is needed"):
        check_output_file(str(tmp_path))
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="/a is a file; a folder is needed"):
        check_output_file(str(tmp_path / "a" / "map.csv"))


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    # Root may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match=f"{tmp_path} cannot be written"):
        check_output_file(str(tmp_path / "new" / "map.csv"))


def test_a_store_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="no file system for ftp://"):
        check_output_file("ftp://host/map.csv")
