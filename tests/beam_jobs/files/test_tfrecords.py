"""Tests of the framing of TFRecords, against TensorFlow's."""

import io

import tensorflow as tf

from beam_jobs.files import tfrecords


def test_frame_as_tensorflow_writes_it(tmp_path):
    path = tmp_path / "one.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"123456789")
    frame = path.read_bytes()
    assert len(frame) == 9 + tfrecords.FRAME_BYTES
    head, data, checksum = frame[:12], frame[12:21], frame[21:]
    assert tfrecords.length_of(head) == 9
    assert tfrecords.is_whole(data, checksum)
    assert tfrecords.length_of(head[:-1]) is None
    assert tfrecords.length_of(bytes([8]) + head[1:]) is None
    assert not tfrecords.is_whole(b"0" + data[1:], checksum)
    assert not tfrecords.is_whole(data, checksum[:-1])
    assert tfrecords.framed(b"123456789") == frame


def test_what_is_whole_of_a_file_that_was_cut():
    first, second = tfrecords.framed(b"first"), tfrecords.framed(b"second")
    for cut in (1, 5, 13, len(second) - 1):
        file = io.BytesIO(first + second[:cut])
        assert tfrecords.whole_bytes(file) == len(first)
    both = first + second
    assert tfrecords.whole_bytes(io.BytesIO(both)) == len(both)
    assert tfrecords.whole_bytes(io.BytesIO(b"no record, and long")) == 0


def test_records_are_read_past_damaged_ones():
    records = [tfrecords.framed(data) for data in (b"a", b"long", b"c", b"d")]
    records[2] = records[2][:12] + b"x" + records[2][13:]
    file = io.BytesIO(b"".join(records) + b"no header")
    read = list(tfrecords.read_framed(file, most_bytes=3))
    assert read == [b"a", None, None, b"d", None]
