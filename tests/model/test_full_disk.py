"""Tests of what is said of a full disk; /dev/full is one."""

from pathlib import Path

import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model import checkpoint_files
from model.checkpoint_files import Position
from model.full_disk import writing


def said_of(workdir, write, needed=0):
    with pytest.raises(InputError) as caught:
        with writing(workdir, "history.json of epoch 2", needed):
            write()
    return str(caught.value)


def by_python():
    Path("/dev/full").write_text("{}")


def by_tensorflow():
    with tf.io.TFRecordWriter("/dev/full") as writer:
        writer.write(b"event")


@pytest.mark.parametrize("write", [by_python, by_tensorflow])
def test_without_a_checkpoint(tmp_path, write):
    assert said_of(tmp_path, write) == (
        f"{tmp_path}: No space left on device: history.json of epoch 2 is not "
        "written; there is no checkpoint yet; free 0.1 MB and run the same "
        "command"
    )


def test_the_last_whole_checkpoint_is_named(tmp_path):
    for step in (5, 10):
        partial = checkpoint_files.partial_path(tmp_path, step)
        partial.parent.mkdir(exist_ok=True)
        partial.write_bytes(b"weights")
        checkpoint_files.publish(tmp_path, Position(step, 0, step))
    checkpoint_files.checkpoint_path(tmp_path, 10).write_bytes(b"other")
    said = said_of(tmp_path, by_python)
    assert "the last good checkpoint is step 5, step 5 of epoch 1; " in said


def test_what_does_not_fit_is_not_begun(tmp_path):
    begun = []
    said = said_of(tmp_path, lambda: begun.append(1), needed=2**60)
    assert not begun
    missing = float(said.split("free ")[1].split(" MB")[0])
    assert 0.5 < missing * 1e6 / 2**60 <= 1


def test_a_disk_that_may_not_be_written(tmp_path):
    def write():
        raise OSError(30, "Read-only file system", "history.json")

    assert said_of(tmp_path, write).endswith(
        "; let it be written and run the same command"
    )


@pytest.mark.parametrize("error", [InputError("x"), ValueError("x")])
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught:
        with writing(tmp_path, "a file"):
            raise error
    assert caught.value is error
