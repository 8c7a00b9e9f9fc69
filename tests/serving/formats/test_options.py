"""Formats, precisions and layouts that go together."""

from __future__ import annotations

import pytest

from beam_jobs.errors import InputError
from serving.formats.options import FormatOptions


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "int8"}, "go with another --format"),
        ({"dataset": "d"}, "go with another --format"),
        ({"format": "litert", "layout": "wd"}, "of --format onnx alone"),
        ({"format": "onnx", "precision": "float16"}, "judged by F1 at 5"),
        ({"format": "onnx", "images": 0}, "must be at least 1"),
    ],
)
def test_what_does_not_go_together(changes, said):
    with pytest.raises(InputError, match=said):
        FormatOptions(**changes)


def test_what_does():
    FormatOptions()
    FormatOptions(format="onnx", layout="wd")
    FormatOptions(format="openvino", precision="int8", dataset="d")
