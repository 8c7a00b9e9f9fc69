"""Warm-up requests that travel with a SavedModel.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests` before a
version takes traffic, and refuses the version if one of them fails
(`tensorflow_serving/g3doc/saved_model_warmup.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving import contract, protos
from serving.tensor_proto import from_proto, to_proto

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def sample_image(height: int = 480, width: int = 640) -> bytes:
    """Returns a JPEG with smooth gradients, the same on every call."""
    down = np.linspace(0, 255, height)[:, None]
    across = np.linspace(0, 255, width)[None, :]
    planes = [down + 0 * across, across + 0 * down, (down + across) / 2]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def write_warmup(
    version_dir: Path,
    model_name: str = contract.MODEL_NAME,
    batch_sizes: Sequence[int] = contract.BATCH_SIZES,
) -> Path:
    """Writes one request a batch size into a SavedModel's folder."""
    path = version_dir / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    image = sample_image()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in batch_sizes:
            writer.write(_log(model_name, [image] * size).SerializeToString())
    return path


def _log(
    model_name: str, images: list[bytes]
) -> protos.prediction_log_pb2.PredictionLog:
    log = protos.prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = contract.TAGS
    tensor = to_proto(np.array(images, dtype=object))
    request.inputs[contract.IMAGE_BYTES].CopyFrom(tensor)
    return log


def read_warmup(version_dir: Path) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns (signature name, inputs) of the requests; none without file."""
    path = version_dir / WARMUP_FILE
    if not path.is_file():
        return []
    found = []
    for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = protos.prediction_log_pb2.PredictionLog.FromString(raw)
        request = log.predict_log.request
        inputs = {k: from_proto(v) for k, v in request.inputs.items()}
        found.append((request.model_spec.signature_name, inputs))
    return found
