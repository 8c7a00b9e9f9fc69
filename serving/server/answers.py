"""What a request means, whatever brought it.

gRPC and REST turn bytes into a `Request` and its answer into bytes; the way
from the one to the other is here, once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from grpc import StatusCode

from serving.api import contract
from serving.api.errors import RequestError, invalid_argument
from serving.api.tensor_proto import from_proto
from serving.saved_model.servable import Signature, TensorInfo
from serving.server import served
from serving.server.batch_tasks import Arrays
from serving.server.loaded_version import LoadedVersion
from serving.server.model_registry import ModelRegistry

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request:
    """What is asked of which model.

    Attributes:
        model: its name.
        version: None for the highest.
        label: of the version, instead of its number.
        signature_name: the default one has a name, too; empty for a method
            without a signature of its own.
        content: what the method reads; for `predict`, a function of version
            and signature name that reads the arrays, whose dtypes they tell.
        output_filter: names of the outputs to return; all if empty.
        deadline: on the clock of `time.monotonic`.
        cancelled: once set, the request is not run any more.
    """

    model: str
    version: int | None = None
    label: str = ""
    signature_name: str = ""
    content: Any = None
    output_filter: Collection[str] = ()
    deadline: float = float("inf")
    cancelled: threading.Event | None = None


Method = Callable[[LoadedVersion, Request], Answer]


def run(
    versions: ModelRegistry, request: Request, method: Method[Answer]
) -> Answer:
    """Returns what a method answers, run on the version that is meant.

    The version stays loaded meanwhile, and the request's metrics name it.

    Raises:
        RequestError: NOT_FOUND, unknown model or a version not available;
            INVALID_ARGUMENT, unknown label; and what the method raises.
    """
    where = request.model, request.version, request.label
    with versions.acquire(*where) as loaded:
        now = served.current()
        now.version = loaded.version
        # Names that no signature has would let anybody fill the memory.
        if request.signature_name in loaded.servable.signatures:
            now.signature = request.signature_name
        return method(loaded, request)


def metadata(
    loaded: LoadedVersion, request: Request
) -> tuple[int, Mapping[str, Any]]:
    """Returns the number of a version, and its `SignatureDef`s by name."""
    return loaded.version, loaded.servable.signature_defs


def predict(loaded: LoadedVersion, request: Request) -> dict[str, np.ndarray]:
    """Reads the inputs and runs the signature: output name -> array.

    Raises:
        RequestError: see `run_predict`.
    """
    inputs = request.content(loaded, request.signature_name)
    return run_predict(loaded, request, inputs)


def run_predict(
    loaded: LoadedVersion, request: Request, inputs: Arrays
) -> dict[str, np.ndarray]:
    """Checks arrays against the request's signature and runs it.

    Args:
        request: its `content` is not looked at.
        inputs: arrays by input name; strings as objects (bytes).

    Raises:
        RequestError: FAILED_PRECONDITION for an unknown signature,
            INVALID_ARGUMENT for inputs that do not fit it, UNAVAILABLE when
            the queue is full, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED (the
            deadline passed), CANCELLED, or what the graph raised.
    """
    name, wanted = request.signature_name, request.output_filter
    signature = signature_of(loaded, name)
    _check_names(signature, inputs)
    for key, array in inputs.items():
        _check_array(key, array, signature.inputs[key])
    if name in loaded.servable.row_wise:
        _check_rows(inputs)
    _check_filter(signature, wanted)
    now = served.current()
    with now.running():
        outputs = loaded.run(name, inputs, request.deadline, request.cancelled)
    # Before the filter: a client that wants one output is answered all.
    if now.entry is not None:
        now.entry.add_run(inputs, outputs, name, wanted)
    return {k: outputs[k] for k in wanted or sorted(outputs)}


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
    loaded: LoadedVersion, name: str, sent: Collection[str]
) -> dict[str, np.ndarray]:
    """Checks the names of a signature's inputs before they are read.

    Returns:
        Its own values of those inputs that were left out.

    Raises:
        RequestError: FAILED_PRECONDITION for an unknown signature,
            INVALID_ARGUMENT for a name missing or too many.
    """
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
