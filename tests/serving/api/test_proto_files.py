"""The messages of the client alone are those of TensorFlow's packages.

`python -m tests.serving.api.test_proto_files` writes the file anew, on the
classic stack: what its packages lack, servers of today know nonetheless.
"""

from __future__ import annotations

import importlib
from contextlib import suppress

import pytest
from google.protobuf import descriptor_pb2

from serving.api import protos
from serving.api.proto_files import PROTOS


def described() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """Returns the files behind `protos`, each after those that it imports."""
    modules = [getattr(protos, name) for name in protos.__all__]
    for name in ("prediction_service_pb2", "model_service_pb2"):
        # Of old protobuf: what that of the current stack cannot load.
        with suppress(AttributeError):
            module = importlib.import_module(f"tensorflow_serving.apis.{name}")
            modules.append(module)
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(file) -> None:
        if file.name in found or file.name.startswith("google/protobuf/"):
            return
        for other in file.dependencies:
            add(other)
        found[file.name] = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(found[file.name])

    for module in modules:
        if hasattr(module, "DESCRIPTOR"):
            add(module.DESCRIPTOR)
    return found


def fields(message, prefix: str) -> dict[str, tuple]:
    """Returns number and type of each field, by its full name."""
    name = f"{prefix}.{message.name}"
    found = {
        f"{name}.{f.name}": (f.number, f.type, f.label, f.type_name)
        for f in message.field
    }
    for inner in message.nested_type:
        found |= fields(inner, name)
    return found


def all_fields(files) -> dict[str, tuple]:
    found = {}
    for file in files:
        for message in file.message_type:
            found |= fields(message, file.package)
    return found


def test_the_messages_are_those_of_the_packages():
    kept = descriptor_pb2.FileDescriptorSet.FromString(PROTOS.read_bytes())
    installed = described()
    theirs, ours = all_fields(installed.values()), all_fields(kept.file)
    assert len(ours) > 500
    # Later packages have more, and leave some old ones out.
    both = ours.keys() & theirs.keys()
    assert [n for n in both if ours[n] != theirs[n]] == []
    serving = {n for n in ours if n.startswith("tensorflow.serving.")}
    assert serving - theirs.keys() == set()


@pytest.mark.parametrize("name", protos.__all__)
def test_every_module_is_in_the_file(name):
    kept = descriptor_pb2.FileDescriptorSet.FromString(PROTOS.read_bytes())
    stem = name.removesuffix("_grpc").removesuffix("_pb2")
    assert [f for f in kept.file if f.name.endswith(f"/{stem}.proto")]


if __name__ == "__main__":
    files = descriptor_pb2.FileDescriptorSet(file=described().values())
    PROTOS.write_bytes(files.SerializeToString(deterministic=True))
