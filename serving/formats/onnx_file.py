"""Writes and runs ONNX files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from serving.formats.graph import ANSWERS, INPUT
from serving.formats.kinds import FLOAT16, INT8, KINDS, ONNX

# The newest that onnxruntime's tools for float16 and int8 are tried with.
_OPSET = 17
_SAMPLE_BATCH = 16


def write(
    function: Any, folder: Path, precision: str, sample: np.ndarray
) -> Path:
    """Writes `model.onnx`.

    Args:
        function: see `graph`.
        sample: pixels [N, S, S, 3] that int8 is fitted to.

    Returns:
        The file.
    """
    import onnx
    import tf2onnx

    # It tells of every pass over the graph.
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    spec = function.input_signature
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=spec, opset=_OPSET
    )
    path = folder / KINDS[ONNX].file
    if precision == FLOAT16:
        model = _halved(model)
    onnx.save(model, path)
    if precision == INT8:
        _quantise(path, sample)
    return path


def opened(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what runs the file: pixels -> float32 [N, classes]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(None, {INPUT: pixels})[0]


def _halved(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(
        model, keep_io_types=True, node_block_list=_answers(model)
    )


def _quantise(path: Path, sample: np.ndarray) -> None:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # It advises to do what the next line does.
    logging.getLogger().addFilter(_is_news)
    quant_pre_process(path, path, skip_symbolic_shape=True)
    quantization.quantize_static(
        path,
        path,
        _reader(quantization.CalibrationDataReader, sample),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=_answers(onnx.load(path)),
    )


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Please consider to run pre-proc")


def _answers(model: Any) -> list[str]:
    """Returns the nodes after the logits: thresholds need their digits."""
    names = [node.name for node in model.graph.node]
    return [name for name in names if ANSWERS in name.split("/")]


def _reader(base: type, sample: np.ndarray) -> Any:
    class Reader(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self._batches: Iterator[np.ndarray] = (
                sample[start : start + _SAMPLE_BATCH]
                for start in range(0, len(sample), _SAMPLE_BATCH)
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Reader()
