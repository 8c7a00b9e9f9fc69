"""Predict, as both transports call it."""

from __future__ import annotations

import threading
from collections.abc import Collection

import grpc
import numpy as np
from grpc import StatusCode

from serving.api import contract, protos
from serving.api.errors import RequestError, invalid_argument
from serving.api.tensor_proto import from_proto
from serving.saved_model.servable import Signature, TensorInfo
from serving.server import request_metrics
from serving.server.batch_tasks import Arrays
from serving.server.model_registry import ModelRegistry
from serving.server.versions import LoadedVersion

_SIGNATURE_DEF = "signature_def"


def known_signature(loaded: LoadedVersion, name: str) -> str:
    """Returns the signature that a request means; empty if there is none."""
    name = name or contract.TAGS
    return name if name in loaded.servable.signatures else ""


def metadata_of(name: str, loaded):
    """Returns the GetModelMetadataResponse of a version."""
    table = protos.get_model_metadata_pb2.SignatureDefMap()
    for key, signature in loaded.servable.signature_defs.items():
        table.signature_def[key].CopyFrom(signature)
    reply = protos.get_model_metadata_pb2.GetModelMetadataResponse()
    _fill_spec(reply.model_spec, name, loaded.version)
    reply.metadata[_SIGNATURE_DEF].Pack(table)
    return reply


def status_of(versions: ModelRegistry, name: str, version: int | None):
    """Returns the GetModelStatusResponse of a model.

    Raises:
        RequestError: NOT_FOUND, unknown model or version.
    """
    states = versions.states_of(name, version)
    reply = protos.get_model_status_pb2.GetModelStatusResponse()
    for state in states:
        entry = reply.model_version_status.add()
        entry.version, entry.state = state.version, state.state
        entry.status.error_message = state.error
        if state.error:
            entry.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
    return reply


def _fill_spec(spec, name: str, version: int) -> None:
    spec.name = name
    spec.version.value = version


def run_predict(
    loaded: LoadedVersion,
    signature_name: str,
    inputs: Arrays,
    *,
    deadline: float = float("inf"),
    cancelled: threading.Event | None = None,
    output_filter: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Checks a request against its signature and runs it.

    Args:
        loaded: the version that answers.
        signature_name: empty for `serving_default`.
        inputs: arrays by input name; strings as objects (bytes).
        deadline: on the clock of `time.monotonic`.
        cancelled: once set, the request is not run any more.
        output_filter: names of the outputs to return; all if empty.

    Raises:
        RequestError: FAILED_PRECONDITION for an unknown signature,
            INVALID_ARGUMENT for inputs that do not fit it, UNAVAILABLE when
            the queue is full, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED (the
            deadline passed), CANCELLED, or what the graph raised.
    """
    name = signature_name or contract.TAGS
    signature = signature_of(loaded, name)
    _check_names(signature, inputs)
    for key, array in inputs.items():
        _check_array(key, array, signature.inputs[key])
    if signature.is_batched:
        _check_rows(inputs)
    _check_filter(signature, output_filter)
    with request_metrics.current().running():
        outputs = loaded.run(name, inputs, deadline, cancelled)
    return {k: outputs[k] for k in output_filter or sorted(outputs)}


def signature_of(loaded: LoadedVersion, name: str) -> Signature:
    """Returns a signature of a version.

    Raises:
        RequestError: FAILED_PRECONDITION, it has none of that name.
    """
    signature = loaded.servable.signatures.get(name)
    if signature is None:
        raise RequestError(
            StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{name}" not found.',
        )
    return signature


def check_sent(
    loaded: LoadedVersion, signature_name: str, sent: Collection[str]
) -> dict[str, np.ndarray]:
    """Checks the names of inputs before they are read.

    Args:
        loaded: the version that answers.
        signature_name: empty for `serving_default`.
        sent: names of the inputs of a request.

    Returns:
        The signature's own values of those that may be left out.

    Raises:
        RequestError: FAILED_PRECONDITION for an unknown signature,
            INVALID_ARGUMENT for a name missing or too many.
    """
    name = signature_name or contract.TAGS
    signature = signature_of(loaded, name)
    # Not in all versions of TensorFlow that are supported.
    table = getattr(loaded.servable.signature_defs[name], "defaults", {})
    defaults = {k: from_proto(table[k]) for k in table if k not in sent}
    _check_names(signature, {*sent, *defaults})
    return defaults


def _check_filter(signature: Signature, wanted: Collection[str]) -> None:
    seen = set()
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {_braced(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)


def _check_names(signature: Signature, inputs: Collection[str]) -> None:
    sent, needed = set(inputs), set(signature.inputs)
    if sent == needed:
        return
    raise invalid_argument(
        f"input size does not match signature: {len(sent)}!={len(needed)} "
        f"len({_braced(sent)}) != len({_braced(needed)}). "
        f"Sent extra: {_braced(sent - needed)}. "
        f"Missing but required: {_braced(needed - sent)}."
    )


def _braced(names: Collection[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _check_array(name: str, array: np.ndarray, info: TensorInfo) -> None:
    if array.dtype != info.dtype:
        raise invalid_argument(
            f"input {name}: expected dtype {info.dtype}; "
            f"received: {array.dtype}"
        )
    if not _shape_fits(array.shape, info.shape):
        raise invalid_argument(
            f"input {name}: expected shape {info.shape}; "
            f"received: {array.shape}"
        )


def _check_rows(inputs: Arrays) -> None:
    rows = max(len(array) for array in inputs.values())
    if rows > contract.MAX_REQUEST_IMAGES:
        raise invalid_argument(
            f"Task size {rows} is larger than maximum input batch size "
            f"{contract.MAX_REQUEST_IMAGES}"
        )


def _shape_fits(
    shape: tuple[int, ...], allowed: tuple[int | None, ...] | None
) -> bool:
    if allowed is None:
        return True
    return len(shape) == len(allowed) and all(
        want in (None, size) for size, want in zip(shape, allowed, strict=True)
    )
