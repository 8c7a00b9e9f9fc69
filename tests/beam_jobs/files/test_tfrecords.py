"""Tests of the framing of TFRecords, against TensorFlow's."""

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
