"""The formats, what each needs and takes. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from beam_jobs.errors import InputError

SAVED_MODEL, ONNX, LITERT, OPENVINO = (
    *("savedmodel", "onnx", "litert", "openvino"),
)
FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
PRECISIONS = (FLOAT32, FLOAT16, INT8)
PLAIN, WD = "plain", "wd"
LAYOUTS = (PLAIN, WD)


@dataclass(frozen=True)
class Kind:
    """A format.

    Attributes:
        file: what the model is called.
        packages: that write and run it, as they are imported.
        layouts: that apps know it in.
    """

    file: str
    packages: tuple[str, ...] = ()
    layouts: tuple[str, ...] = (PLAIN,)


_ONNX = ("tf2onnx", "onnx", "onnxruntime")
KINDS = {
    ONNX: Kind("model.onnx", _ONNX, LAYOUTS),
    # In TensorFlow itself.
    LITERT: Kind("model.tflite"),
    OPENVINO: Kind("model.xml", (*_ONNX, "openvino")),
}
FORMATS = (SAVED_MODEL, *KINDS)


def check_packages(name: str) -> None:
    """Checks, without loading them, that a format's packages are installed.

    Raises:
        InputError: one is not; says which extra brings it.
    """
    lacking = [
        package
        for package in KINDS[name].packages
        if importlib.util.find_spec(package) is None
    ]
    if lacking:
        raise InputError(
            f"--format {name} needs {', '.join(lacking)}, not installed here; "
            f"`pip install 'tagforest[{name}]'` brings what it needs"
        )
