"""Predict, as both transports call it."""

from __future__ import annotations

import threading
from collections.abc import Collection

import numpy as np
from grpc import StatusCode

from serving import contract
from serving.errors import RequestError, invalid_argument
from serving.saved_model.servable import Signature, TensorInfo
from serving.server.batch_tasks import Arrays
from serving.server.versions import LoadedVersion


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
    _check_filter(signature, output_filter)
    _check_names(signature, inputs)
    for key, array in inputs.items():
        _check_array(key, array, signature.inputs[key])
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


def _check_filter(signature: Signature, wanted: Collection[str]) -> None:
    unknown = sorted(set(wanted) - set(signature.outputs))
    if unknown or len(set(wanted)) != len(wanted):
        raise invalid_argument(
            f"output_filter must name outputs, each once; "
            f"allowed: {sorted(signature.outputs)}; received: {list(wanted)}"
        )


def _check_names(signature: Signature, inputs: Arrays) -> None:
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
    if array.ndim and len(array) > contract.MAX_REQUEST_IMAGES:
        raise invalid_argument(
            f"input {name}: {len(array)} rows; at most "
            f"{contract.MAX_REQUEST_IMAGES} are allowed in one request"
        )


def _shape_fits(
    shape: tuple[int, ...], allowed: tuple[int | None, ...] | None
) -> bool:
    if allowed is None:
        return True
    return len(shape) == len(allowed) and all(
        want in (None, size) for size, want in zip(shape, allowed, strict=True)
    )
