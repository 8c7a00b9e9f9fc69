"""Writes and runs LiteRT files, once known as TensorFlow Lite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from serving.formats.graph import INPUT, OUTPUT
from serving.formats.kinds import FLOAT16, FLOAT32, INT8, KINDS, LITERT


def write(
    function: Any, folder: Path, precision: str, sample: np.ndarray
) -> Path:
    """Writes `model.tflite`; see `onnx_file.write`.

    All of int8's graph is in 8 bits, so that its probabilities have 256 steps.
    """
    with tempfile.TemporaryDirectory() as saved:
        _save(function, saved)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        if precision != FLOAT32:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == FLOAT16:
            converter.target_spec.supported_types = [tf.float16]
        if precision == INT8:
            rows = ({INPUT: sample[i : i + 1]} for i in range(len(sample)))
            converter.representative_dataset = lambda: rows
        content = converter.convert()
    path = folder / KINDS[LITERT].file
    path.write_bytes(content)
    return path


def opened(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what runs the file: pixels -> float32 [N, classes]."""
    model = tf.lite.Interpreter(model_path=str(path))
    (given,), (made,) = model.get_input_details(), model.get_output_details()
    rows = 0

    def run(pixels: np.ndarray) -> np.ndarray:
        nonlocal rows
        if len(pixels) != rows:
            model.resize_tensor_input(given["index"], pixels.shape)
            model.allocate_tensors()
            rows = len(pixels)
        model.set_tensor(given["index"], pixels)
        model.invoke()
        return model.get_tensor(made["index"])

    return run


def _save(function: Any, folder: str) -> None:
    # The converter does not find the variables of a Keras 3 model, and says
    # nothing: constants cannot be missed.
    constants = convert_variables_to_constants_v2(
        function.get_concrete_function()
    )
    module = tf.Module()
    module.call = tf.function(
        lambda pixels: {OUTPUT: constants(pixels)[0]}, function.input_signature
    )
    tf.saved_model.save(module, folder, signatures=module.call)
