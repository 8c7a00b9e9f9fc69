"""Writes and runs OpenVINO files, by way of ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serving.formats import onnx_file
from serving.formats.kinds import FLOAT16, FLOAT32, KINDS, OPENVINO

# On CPUs that have it OpenVINO computes in bfloat16 unless told otherwise; a
# file cannot carry this, so the settings beside it do.
RUN_WITH = {"INFERENCE_PRECISION_HINT": "f32"}


def write(
    function: Any, folder: Path, precision: str, sample: np.ndarray
) -> Path:
    """Writes `model.xml` and `model.bin`; see `onnx_file.write`."""
    import openvino

    path = folder / KINDS[OPENVINO].file
    with tempfile.TemporaryDirectory() as between:
        # Of float16 it stores weights alone, which it does itself.
        first = FLOAT32 if precision == FLOAT16 else precision
        source = onnx_file.write(function, Path(between), first, sample)
        # `convert_model` would tell its makers of it over the network.
        model = openvino.Core().read_model(source)
        openvino.save_model(model, path, precision == FLOAT16)
    return path


def opened(
    path: Path, as_it_comes: bool = False
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what runs the file: pixels -> float32 [N, classes].

    Args:
        as_it_comes: without `RUN_WITH`.
    """
    import openvino

    settings = {} if as_it_comes else RUN_WITH
    model = openvino.Core().compile_model(path, "CPU", settings)
    return lambda pixels: np.array(model(pixels)[0])
