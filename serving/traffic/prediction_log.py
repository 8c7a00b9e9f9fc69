"""A request in TensorFlow Serving's form: one `PredictionLog` a run of a model.

What it has no place for stands in `log_metadata.saved_model_tags`, after the
tag of the graph, as `name=value`:

    log_metadata {
      model_spec { name: "tagforest" version { value: 3 }
                   signature_name: "serving_default" }
      sampling_config { sampling_rate: 0.1 }
      saved_model_tags: "serve"    saved_model_tags: "status=OK"
      saved_model_tags: "ms=12.3"  saved_model_tags: "api=Predict"
      saved_model_tags: "weights=9f2c..."
      timestamp_secs: 1767225600   request_origin: "GRPC"
    }
    predict_log { request { ... } response { ... } }

Without the images every input that may hold some, which is every one but the
options of `select`, has its dtype and its shape, and no value: TensorFlow reads
empty strings, or zeros. So the file stays one of warm-up requests, of the same
batches. There is no record of a request that failed before the model ran, for
it would keep a version from loading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from serving.api import contract, protos
from serving.api.tensor_proto import TensorError, fill_proto, from_proto
from serving.traffic.log_format import TYPE, Arrays, image_rows, weights_of

_GRAPH = "serve"
_TAGGED = ("status", "ms", "api", "weights")
# They say nothing of an image, and a warm-up needs their values.
_OPTIONS = {
    *(contract.MAX_LABELS, contract.MIN_CONFIDENCE, contract.MOST_SPECIFIC),
    *(contract.INCLUDE, contract.EXCLUDE),
}


def to_record(
    facts: Mapping[str, Any],
    signature: str,
    inputs: Arrays,
    outputs: Arrays,
    wanted: Collection[str] = (),
    with_inputs: bool = False,
) -> bytes:
    """Returns a run of a model as a serialized `PredictionLog`.

    Args:
        facts: of the request, see `log_format`.
        inputs, outputs: of the signature, by name.
        wanted: the outputs that were answered; all if empty.
        with_inputs: with the values of all inputs, images among them.

    Raises:
        TensorError: an array that has no place in a message.
    """
    log = protos.prediction_log_pb2.PredictionLog()
    _fill_metadata(log.log_metadata, facts, signature, weights_of(outputs))
    request, response = log.predict_log.request, log.predict_log.response
    request.model_spec.name = facts["model"]
    request.model_spec.signature_name = signature
    request.output_filter.extend(wanted)
    response.model_spec.CopyFrom(log.log_metadata.model_spec)
    for name, array in inputs.items():
        if with_inputs or name in _OPTIONS:
            fill_proto(request.inputs[name], array)
        else:
            _fill_shape(request.inputs[name], array)
    for name in wanted or outputs:
        fill_proto(response.outputs[name], outputs[name])
    return log.SerializeToString()


def _fill_metadata(
    metadata, facts: Mapping[str, Any], signature: str, weights: str
) -> None:
    spec = metadata.model_spec
    spec.name, spec.signature_name = facts["model"], signature
    if facts.get("version"):
        spec.version.value = facts["version"]
    metadata.sampling_config.sampling_rate = facts.get("sample", 0)
    tagged = {**facts, "weights": weights}
    metadata.saved_model_tags.append(_GRAPH)
    metadata.saved_model_tags.extend(
        f"{name}={tagged[name]}" for name in _TAGGED if tagged.get(name)
    )
    metadata.timestamp_secs = int(facts.get("time", 0))
    metadata.request_origin = facts.get("entrypoint", "")


def _fill_shape(proto, array: np.ndarray) -> None:
    fill_proto(proto, np.empty((0,), array.dtype))
    del proto.tensor_shape.dim[:]
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)


def to_facts(data: bytes) -> dict[str, Any] | None:
    """Returns what a line of the other form says; None for no such log.

    Of images that were left out nothing is known but what was answered.
    """
    try:
        log = protos.prediction_log_pb2.PredictionLog.FromString(data)
        run = log.predict_log
        inputs = {k: from_proto(v) for k, v in run.request.inputs.items()}
        outputs = {k: from_proto(v) for k, v in run.response.outputs.items()}
        rows = image_rows(_sent(inputs), outputs)
        return {**_facts_of(log.log_metadata), "images": rows}
    except (DecodeError, TensorError, ValueError, UnicodeError):
        return None


def _sent(inputs: Arrays) -> Arrays:
    images = inputs.get(contract.IMAGE_BYTES)
    return inputs if images is not None and any(images.ravel()) else {}


def _facts_of(metadata) -> dict[str, Any]:
    spec = metadata.model_spec
    pairs = (tag.partition("=") for tag in metadata.saved_model_tags)
    tagged: dict[str, Any] = {k: v for k, eq, v in pairs if eq}
    if "ms" in tagged:
        tagged["ms"] = float(tagged["ms"])
    return {
        "type": TYPE,
        "time": metadata.timestamp_secs,
        "model": spec.name,
        "version": spec.version.value,
        "signature": spec.signature_name,
        "entrypoint": metadata.request_origin,
        "sample": metadata.sampling_config.sampling_rate,
        **tagged,
    }
