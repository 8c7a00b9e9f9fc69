"""`tagforest export` refuses before it loads anything."""

from __future__ import annotations

import json

from tests.helpers.commands import loaded_by, run


def test_export_wants_a_folder(tmp_path):
    done = run("export", tmp_path / "none", "--out", tmp_path)
    assert "no such folder" in str(done.exception)


def test_options_of_the_other_formats(run_folder, tmp_path):
    out = tmp_path / "out"
    asked = ["export", run_folder, "--out", out, "--format", "litert"]
    done = run(*asked, "--top-k", 3)
    assert "are of --format savedmodel" in str(done.exception)
    done = run(*asked, "--check-images", 8)
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith("litert float32 beside TensorFlow, on 8 ")
    assert done.stdout.endswith(f"exported: {out}\n")
    told = json.loads((out / "parity.json").read_text())
    assert told["images"] == 8
    assert "exists" in str(run(*asked).exception)


def test_the_command_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "grpc", "numpy", "onnx", "openvino")
    assert loaded_by("import serving.formats.cli", *heavy) == []
