"""One loaded version of a SavedModel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.version_folders import SAVED_MODEL_FILE
from serving.saved_model.warmup import read_warmup

# Among the signatures of what Keras exports; not to be called.
_INITIALISER = "__saved_model_init_op"


@dataclass(frozen=True)
class TensorInfo:
    """dtype and shape (None: any size) of an input or output."""

    dtype: np.dtype
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of one signature, by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]

    @cached_property
    def has_rows(self) -> bool:
        """Whether every tensor can have a row for each of any number of them.

        It need not: `[None]` may be one list as well as one number a request.
        """
        infos = [*self.inputs.values(), *self.outputs.values()]
        known = [info.shape for info in infos if info.shape is not None]
        return bool(self.inputs) and all(s and s[0] is None for s in known)


class Servable:
    """A SavedModel in memory, in a session of its own as in TensorFlow Serving.

    `tf.saved_model.load` would do, but never gives back all of its memory: a
    server that takes up new versions would grow with each.

    Args:
        path: a version's folder, `<base>/<version>`.

    Attributes:
        row_wise: the signatures that are known to answer each row for itself,
            as our own exports say.

    Raises:
        InputError: no SavedModel there, or one that cannot be read.
    """

    def __init__(self, path: Path):
        if not (path / SAVED_MODEL_FILE).is_file():
            raise InputError(
                f"{path} holds no {SAVED_MODEL_FILE}; "
                "`tagforest export` writes a model that can be served"
            )
        try:
            self.signature_defs = read_signature_defs(path)
            self.row_wise = _read_row_wise(path)
            self._session = _load(path)
        except Exception as error:  # the loader raises many kinds
            raise InputError(f"{path} cannot be loaded: {error}") from error
        self.path = path
        # A model that is checked before it is published has no number yet.
        self.version = int(path.name) if path.name.isdigit() else 0
        self.signatures = {
            name: Signature(_infos(known.inputs), _infos(known.outputs))
            for name, known in self.signature_defs.items()
            if name != _INITIALISER
        }
        self._calls: dict[str, Callable[..., list[np.ndarray]]] = {}

    def run(
        self,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        deadline: float = float("inf"),
    ) -> dict[str, np.ndarray]:
        """Calls a signature; strings are object arrays of bytes.

        Any number of threads may call it.

        Args:
            deadline: on the clock of `time.monotonic`.

        Raises:
            tf.errors.OpError: whatever the graph raises, and
                DEADLINE_EXCEEDED.
        """
        signature = self.signatures[signature_name]
        # Made once: a callable skips the checks of every `Session.run`.
        call = self._calls.get(signature_name)
        if call is None:
            call = self._calls[signature_name] = self._callable(signature_name)
        values = (
            np.asarray(inputs[name], info.dtype)
            for name, info in signature.inputs.items()
        )
        found = call(*values, options=_until(deadline))
        return dict(zip(signature.outputs, found, strict=True))

    def warm_up(self) -> int:
        """Replays the warm-up requests; returns how many there were."""
        requests = read_warmup(self.path)
        for signature_name, inputs in requests:
            self.run(signature_name, inputs)
        return len(requests)

    def close(self) -> None:
        """Gives the memory back; nothing may run then or later."""
        self._calls.clear()
        self._session.close()

    def _callable(self, name: str) -> Callable[..., list[np.ndarray]]:
        # In the order of the signature, which maps keep.
        known, signature = self.signature_defs[name], self.signatures[name]
        return self._session.make_callable(
            [known.outputs[key].name for key in signature.outputs],
            [known.inputs[key].name for key in signature.inputs],
            accept_options=True,
        )


def _load(path: Path) -> tf.compat.v1.Session:
    config = tf.compat.v1.ConfigProto()
    # A server may share the accelerator.
    config.gpu_options.allow_growth = True
    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph, config=config)
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(path))
    # Requests come from many threads: nothing may be added to the graph.
    graph.finalize()
    return session


def _until(deadline: float) -> tf.compat.v1.RunOptions | None:
    if deadline == float("inf"):
        return None
    left_ms = max(1, int(1000 * (deadline - time.monotonic())))
    # A call with a limit takes 0.1 ms more.
    return tf.compat.v1.RunOptions(timeout_in_ms=min(left_ms, 2**62))


def _read_row_wise(path: Path) -> set[str]:
    file = path / "assets" / contract.ROW_WISE
    return {*json.loads(file.read_bytes())} if file.is_file() else set()


def _infos(tensors: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _info(tensors[name]) for name in sorted(tensors)}


def _info(proto: meta_graph_pb2.TensorInfo) -> TensorInfo:
    shape = tf.TensorShape(proto.tensor_shape)
    sizes = None if shape.rank is None else tuple(shape.as_list())
    return TensorInfo(np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype), sizes)


def read_signature_defs(
    path: Path,
) -> dict[str, meta_graph_pb2.SignatureDef]:
    """Returns the signatures of a SavedModel without loading it.

    Raises:
        InputError: it has no graph that can be served.
    """
    raw = (path / SAVED_MODEL_FILE).read_bytes()
    saved_model = saved_model_pb2.SavedModel.FromString(raw)
    for graph in saved_model.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise InputError(f"{path} has no graph tagged 'serve'")
