"""One loaded version of a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from beam_jobs.errors import InputError
from serving.saved_model.warmup import read_warmup
from serving.version_folders import SAVED_MODEL_FILE


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
    def is_batched(self) -> bool:
        """Whether every tensor has a row for each of any number of them."""
        infos = [*self.inputs.values(), *self.outputs.values()]
        known = [info.shape for info in infos if info.shape is not None]
        return bool(self.inputs) and all(s and s[0] is None for s in known)


class Servable:
    """A SavedModel in memory.

    Args:
        path: a version's folder, `<base>/<version>`.

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
            self._model = tf.saved_model.load(str(path))
            self.signature_defs = read_signature_defs(path)
        except Exception as error:  # the loader raises many kinds
            raise InputError(f"{path} cannot be loaded: {error}") from error
        self.path = path
        self.version = int(path.name) if path.name.isdigit() else 0
        self.signatures = {
            name: _signature_of(function)
            for name, function in self._model.signatures.items()
        }

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Calls a signature; strings are object arrays of bytes.

        Raises:
            tf.errors.OpError: whatever the graph raises.
        """
        signature = self.signatures[signature_name]
        tensors = {
            name: tf.constant(
                value,
                dtype=tf.as_dtype(signature.inputs[name].dtype),
                shape=value.shape,
            )
            for name, value in inputs.items()
        }
        outputs = self._model.signatures[signature_name](**tensors)
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def warm_up(self) -> int:
        """Replays the warm-up requests; returns how many there were."""
        requests = read_warmup(self.path)
        for signature_name, inputs in requests:
            self.run(signature_name, inputs)
        return len(requests)


def _signature_of(function) -> Signature:
    _, inputs = function.structured_input_signature
    return Signature(
        inputs={name: _info(spec) for name, spec in inputs.items()},
        outputs={
            name: _info(spec)
            for name, spec in function.structured_outputs.items()
        },
    )


def _info(spec) -> TensorInfo:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorInfo(np.dtype(spec.dtype.as_numpy_dtype), shape)


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
