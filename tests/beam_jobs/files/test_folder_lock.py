"""Tests of the lock of a folder; see also those of downloads."""

import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.folder_lock import lock_folder


@pytest.mark.parametrize("folder", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, folder):
    (tmp_path / "file").touch()
    path = str(tmp_path / folder)
    with pytest.raises(InputError, match=f"^{path} cannot be written: "):
        with lock_folder(path, "training"):
            pass
