"""What a format needs."""

from __future__ import annotations

import pytest

from beam_jobs.errors import InputError
from serving.formats import kinds


def test_a_missing_package_is_named(monkeypatch):
    found = {"onnx": True, "onnxruntime": True}
    monkeypatch.setattr(kinds.importlib.util, "find_spec", found.get)
    with pytest.raises(InputError, match="needs tf2onnx, not installed here"):
        kinds.check_packages("onnx")
    with pytest.raises(InputError, match=r"'tagforest\[openvino\]'"):
        kinds.check_packages("openvino")
    kinds.check_packages("litert")
