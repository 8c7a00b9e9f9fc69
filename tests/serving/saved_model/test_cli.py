"""`tagforest export` refuses before it loads anything."""

from __future__ import annotations

from tests.helpers.commands import loaded_by, run


def test_export_wants_a_folder(tmp_path):
    done = run("export", tmp_path / "none", "--out", tmp_path)
    assert "no such folder" in str(done.exception)


def test_the_command_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "grpc", "numpy")
    assert loaded_by("import serving.saved_model.cli", *heavy) == []
