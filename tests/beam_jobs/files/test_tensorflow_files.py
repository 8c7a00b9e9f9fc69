"""TensorFlow reads what the data set job wrote to an object store."""

import importlib.util
import time

import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from beam_jobs.files import storage, tensorflow_files
from tests.helpers.commands import python

# In a process of its own, as tensorflow-io may abort at the end of one.
READ = """
import sys
import tensorflow as tf
from beam_jobs.files import tensorflow_files
tensorflow_files.register(sys.argv[1])
rows = tf.data.TFRecordDataset([tensorflow_files.tensorflow_path(sys.argv[1])])
print([len(row) for row in rows.as_numpy_iterator()])
tensorflow_files.end_process(7)
"""
RECORDS = [bytes([number]) * 1000 * number for number in range(5)]


@pytest.fixture
def shard(s3):
    final = storage.join(s3, "dataset", "train-00000-of-00001.tfrecord")
    temporary = storage.work_file(final)
    with tf.io.TFRecordWriter(temporary) as writer:
        for record in RECORDS:
            writer.write(record)
    storage.publish(temporary, final)
    return final


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/train", "data/train"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("azfs://account/container/a", "az://account/container/a"),
    ],
)
def test_tensorflow_path(path, expected):
    assert tensorflow_files.tensorflow_path(path) == expected


@pytest.mark.large
@pytest.mark.ci
def test_records_of_s3(shard):
    if importlib.util.find_spec("tensorflow_io") is None:
        with pytest.raises(InputError, match="copy the data set"):
            tensorflow_files.register(shard)
        return
    found = python("-c", READ, shard)
    assert found.stdout == "[0, 1000, 2000, 3000, 4000]\n", found.stderr
    assert found.returncode == 7


def test_what_needs_nothing(tmp_path):
    tensorflow_files.register(tmp_path)
    tensorflow_files.register("gs://bucket/dataset")


def test_what_nobody_reads():
    with pytest.raises(InputError, match="reads no nosuch://"):
        tensorflow_files.register("nosuch://bucket/dataset")


STUCK = """
import atexit, tempfile, threading, time
from beam_jobs.files import tensorflow_files
tensorflow_files._LAST_SECONDS = 0.5
threading.Thread(target=time.sleep, args=[3600]).start()
{at_exit}
print("said", end="")
tensorflow_files.end_process(7)
"""


@pytest.mark.parametrize(
    ("at_exit", "said"),
    [
        ("atexit.register(print, ' and tidied', end='')", "said and tidied"),
        ("atexit.register(time.sleep, 3600)", "said"),
    ],
)
def test_a_failed_process_ends_whatever_its_threads_do(at_exit, said):
    start = time.monotonic()
    found = python("-c", STUCK.format(at_exit=at_exit))
    assert (found.returncode, found.stderr) == (7, "")
    assert found.stdout == said
    assert time.monotonic() - start < 60
