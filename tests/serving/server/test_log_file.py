import errno
import os

import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.tfrecords import framed
from serving.server.log_file import LogFile
from serving.traffic.log_format import rotated


def test_rotation_is_bounded(tmp_path):
    path = tmp_path / "a.jsonl"
    log = LogFile(path, most_bytes=10, files=3)
    for number in range(9):
        log.write(b"%d%d%d\n" % (number, number, number))
    log.close()
    # Two lines of 4 bytes a file, and the oldest files are gone.
    kept = [rotated(path, n).read_text() for n in (2, 1, 0)]
    assert kept == ["444\n555\n", "666\n777\n", "888\n"]
    assert len(list(tmp_path.iterdir())) == 3


def test_one_file_starts_again(tmp_path):
    log = LogFile(tmp_path / "a", most_bytes=4, files=1)
    for line in (b"aaa\n", b"bbb\n", b"a line longer than a file\n"):
        log.write(line)
    log.close()
    assert (tmp_path / "a").read_text() == "a line longer than a file\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_goes_on_behind_a_line_that_was_cut(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"whole\ncut sho")
    log = LogFile(path, 1000, 2)
    log.write(b"next\n")
    log.close()
    assert path.read_bytes() == b"whole\ncut sho\nnext\n"


def test_a_short_write_is_an_error_and_spoils_no_line(tmp_path, monkeypatch):
    log = LogFile(tmp_path / "a", 1000, 2)
    write = os.write
    monkeypatch.setattr(os, "write", lambda f, data: write(f, data[:3]))
    with pytest.raises(OSError, match="3 of 6 bytes"):
        log.write(b"first\n")
    monkeypatch.setattr(os, "write", write)
    log.write(b"second\n")
    log.close()
    assert (tmp_path / "a").read_bytes() == b"fir\nsecond\n"


def test_a_rotation_that_fails_moves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    log = LogFile(path, 4, 2)
    log.write(b"aaa\n")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            log.write(b"bbb\n")
    monkeypatch.undo()
    log.write(b"ccc\n")
    log.close()
    assert rotated(path, 1).read_text() == "aaa\n"
    assert path.read_text() == "ccc\n"


def test_refusals(tmp_path):
    path = tmp_path / "a"
    first = LogFile(path, 10, 2)
    with pytest.raises(InputError, match="another server writes"):
        LogFile(path, 10, 2)
    first.close()
    LogFile(path, 10, 2).close()
    with pytest.raises(InputError, match="cannot write .*No such file"):
        LogFile(tmp_path / "none" / "a", 10, 2)


def test_half_a_record_is_cut_off(tmp_path, monkeypatch):
    path = tmp_path / "a"
    first, second, third = map(framed, (b"first", b"second", b"third"))
    path.write_bytes(first + second[:-2])
    log = LogFile(path, 1000, 2, records=True)
    write = os.write
    monkeypatch.setattr(os, "write", lambda f, data: write(f, data[:9]))
    with pytest.raises(OSError, match="9 of 22 bytes"):
        log.write(second)
    monkeypatch.setattr(os, "write", write)
    log.write(third)
    log.close()
    assert path.read_bytes() == first + third


@pytest.mark.parametrize("records", [True, False])
def test_a_log_of_the_other_kind_is_kept(tmp_path, records):
    path = tmp_path / "a"
    held = b'{"type": "a log"}\n' if records else framed(b"a log")
    path.write_bytes(held)
    with pytest.raises(InputError, match="give it another name"):
        LogFile(path, 1000, 2, records)
    assert path.read_bytes() == held
