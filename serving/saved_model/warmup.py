"""Warm-up requests that travel with a SavedModel.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests` before a
version takes traffic, and refuses the version if one of them fails
(`tensorflow_serving/g3doc/saved_model_warmup.md`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import records
from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.tag_options import TagOptions
from serving.api.tensor_proto import from_proto, to_proto

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000
_KINDS = (
    "predict_log",
    "classify_log",
    "regress_log",
    "multi_inference_log",
)


def sample_image(height: int = 480, width: int = 640) -> bytes:
    """Returns a JPEG with smooth gradients, the same on every call."""
    down = np.linspace(0, 255, height)[:, None]
    across = np.linspace(0, 255, width)[None, :]
    planes = [down + 0 * across, across + 0 * down, (down + across) / 2]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def warmup_requests(
    signatures: Collection[str],
    batch_sizes: Sequence[int] = contract.BATCH_SIZES,
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns what warms an export up: (signature name, inputs).

    The default signature in all batch sizes, the others once.

    Args:
        signatures: that the export has.
    """
    image = sample_image()

    def images(count: int) -> dict[str, np.ndarray]:
        return {contract.IMAGE_BYTES: np.array([image] * count, object)}

    requests = [
        *((contract.TAGS, images(size)) for size in batch_sizes),
        (contract.DETECT, images(1)),
        (contract.SEGMENT, images(1)),
        (contract.SELECT, images(1) | TagOptions().arrays(1)),
        (contract.SCORES, images(1)),
        (contract.EMBEDDING, images(1)),
        (contract.CLASSIFY, {contract.CLASSIFY_INPUTS: _examples(image)}),
    ]
    return [(name, inputs) for name, inputs in requests if name in signatures]


def _examples(image: bytes) -> np.ndarray:
    example = protos.example_pb2.Example()
    feature = example.features.feature[records.IMAGE_ENCODED]
    feature.bytes_list.value.append(image)
    return np.array([example.SerializeToString()], object)


def write_warmup(
    version_dir: Path,
    signatures: Collection[str],
    batch_sizes: Sequence[int] = contract.BATCH_SIZES,
) -> int:
    """Writes the requests into a SavedModel's folder; returns how many."""
    path = version_dir / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    requests = warmup_requests(signatures, batch_sizes)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature_name, inputs in requests:
            log = _log(signature_name, inputs)
            writer.write(log.SerializeToString())
    return len(requests)


def _log(
    signature_name: str, inputs: Mapping[str, np.ndarray]
) -> protos.prediction_log_pb2.PredictionLog:
    log = protos.prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = contract.MODEL_NAME
    request.model_spec.signature_name = signature_name
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(to_proto(array))
    return log


def read_warmup(version_dir: Path) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns (signature name, inputs) of the requests; none without file.

    Requests to classify and regress are left out.

    Raises:
        InputError: what TensorFlow Serving refuses: more than 1000 requests,
            or one of another kind.
        tf.errors.OpError: no TFRecords.
        DecodeError: no PredictionLogs.
    """
    path = version_dir / WARMUP_FILE
    if not path.is_file():
        return []
    found: list[tuple[str, dict[str, np.ndarray]]] = []
    raws = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for number, raw in enumerate(raws):
        log = protos.prediction_log_pb2.PredictionLog.FromString(raw)
        _check_record(log, number)
        if not log.HasField("predict_log"):
            continue
        request = log.predict_log.request
        inputs = {k: from_proto(v) for k, v in request.inputs.items()}
        name = request.model_spec.signature_name or contract.TAGS
        found.append((name, inputs))
    return found


def _check_record(
    log: protos.prediction_log_pb2.PredictionLog, number: int
) -> None:
    if number == MOST_RECORDS:
        raise InputError(
            f"{WARMUP_FILE}: with more than {MOST_RECORDS} requests a version "
            "does not load; keep fewer"
        )
    kind = log.WhichOneof("log_type")
    if kind not in _KINDS:
        raise InputError(
            f"{WARMUP_FILE}: a request is of the kind {kind}; allowed: "
            f"{', '.join(_KINDS)}"
        )
