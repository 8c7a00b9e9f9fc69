"""TensorFlow Serving's messages without TensorFlow's packages.

`protos.binpb` holds the public .proto files of both, as protoc describes them;
`tests/serving/api/test_proto_files.py` compares it with the packages, and says
how to write it anew.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    wrappers_pb2,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

PROTOS = Path(__file__).with_name("protos.binpb")
# What the files import of protobuf itself, so that it is known.
_OF_PROTOBUF = (any_pb2, wrappers_pb2)


def modules() -> dict[str, SimpleNamespace]:
    """Returns what generated modules hold, by their names: `predict_pb2`.

    Those of services (`..._pb2_grpc`) have stubs alone.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(PROTOS.read_bytes())
    pool = descriptor_pool.Default()
    found: dict[str, SimpleNamespace] = {}
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
        described = pool.FindFileByName(file.name)
        name = PurePosixPath(file.name).stem
        found[f"{name}_pb2"] = _messages(described)
        found[f"{name}_pb2_grpc"] = _stubs(described)
    return found


def _messages(file: Any) -> SimpleNamespace:
    enums = file.enum_types_by_name.items()
    return SimpleNamespace(
        DESCRIPTOR=file,
        **{n: _class(d) for n, d in file.message_types_by_name.items()},
        **{name: EnumTypeWrapper(enum) for name, enum in enums},
        **{v.name: v.number for _, enum in enums for v in enum.values},
    )


def _stubs(file: Any) -> SimpleNamespace:
    services = file.services_by_name.items()
    return SimpleNamespace(**{f"{n}Stub": _stub(s) for n, s in services})


def _stub(service: Any) -> type:
    class Stub:
        def __init__(self, channel: Any):
            for method in service.methods:
                call = channel.unary_unary(
                    f"/{service.full_name}/{method.name}",
                    _class(method.input_type).SerializeToString,
                    _class(method.output_type).FromString,
                )
                setattr(self, method.name, call)

    return Stub


def _class(described: Any) -> Any:
    return message_factory.GetMessageClass(described)
