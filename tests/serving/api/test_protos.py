from __future__ import annotations

from tests.helpers.commands import loaded_by, python

_SCRIPT = """
import sys
from serving.client import grpc_client, rest_client, tag_client
heavy = {"tensorflow", "tensorflow.python", "keras"}
assert not heavy & set(sys.modules)

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from serving.api import protos
proto = tf.make_tensor_proto([1.0, 2.0])
assert type(proto) is protos.tensor_pb2.TensorProto
assert predict_pb2.PredictRequest is protos.predict_pb2.PredictRequest
assert tf.make_ndarray(proto).tolist() == [1.0, 2.0]
assert tf.add(1, 2).numpy() == 3
"""


def test_client_loads_no_tensorflow_and_tensorflow_still_loads_after():
    done = python("-c", _SCRIPT)
    assert done.returncode == 0, done.stderr


def test_tensorflow_first_shares_its_messages():
    import tensorflow as tf

    from serving.api import protos

    proto = tf.make_tensor_proto([b"a"])
    assert type(proto) is protos.tensor_pb2.TensorProto


def test_the_whole_client_stays_light():
    code = (
        "from serving.client import tag_command, url_reader\n"
        "from serving.client import grpc_client, rest_client"
    )
    heavy = ("tensorflow", "keras", "apache_beam", "PIL", "scipy")
    assert loaded_by(code, *heavy) == []
