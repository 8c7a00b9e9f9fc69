"""TensorFlow Serving's messages and stubs, without loading TensorFlow.

The official `tensorflow_serving.apis` modules import `tensorflow.core...`
message modules, and the package `tensorflow` loads the whole runtime on
import (4 to 20 s). The message modules themselves need only protobuf. So,
while they are imported here, a bare package stands in for `tensorflow` that
points at the same folder; afterwards it is taken away, and a later
`import tensorflow` loads the real one, which finds and shares the message
modules already loaded. If TensorFlow is loaded already, it is used as it is.
Where the packages are not installed, the messages are made from a file.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def _bare_tensorflow(folders: Iterable[str]) -> Iterator[None]:
    if "tensorflow" in sys.modules:
        yield
        return
    bare = types.ModuleType("tensorflow")
    bare.__path__ = list(folders)
    sys.modules["tensorflow"] = bare
    try:
        yield
    finally:
        _remove_packages()


def _remove_packages() -> None:
    # Packages go, so that the real ones get linked to their parents as
    # usual; message modules stay, since protobuf registers each file once.
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorflow"]:
        if hasattr(sys.modules[name], "__path__"):
            del sys.modules[name]


_tensorflow = importlib.util.find_spec("tensorflow")
if _tensorflow and importlib.util.find_spec("tensorflow_serving"):
    with _bare_tensorflow(_tensorflow.submodule_search_locations or ()):
        from tensorflow.core.example import example_pb2
        from tensorflow.core.framework import tensor_pb2, types_pb2
        from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
        from tensorflow_serving.apis import (
            classification_pb2,
            get_model_metadata_pb2,
            get_model_status_pb2,
            inference_pb2,
            input_pb2,
            model_management_pb2,
            model_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_log_pb2,
            prediction_service_pb2_grpc,
            regression_pb2,
        )
        from tensorflow_serving.config import model_server_config_pb2
else:
    # The client alone: the same messages, without the packages.
    from serving.api import proto_files

    globals().update(proto_files.modules())

__all__ = [
    "classification_pb2",
    "config_pb2",
    "example_pb2",
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "inference_pb2",
    "input_pb2",
    "meta_graph_pb2",
    "model_management_pb2",
    "model_pb2",
    "model_server_config_pb2",
    "model_service_pb2_grpc",
    "predict_pb2",
    "prediction_log_pb2",
    "prediction_service_pb2_grpc",
    "regression_pb2",
    "tensor_pb2",
    "types_pb2",
]
