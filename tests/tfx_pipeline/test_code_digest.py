import pytest

from tfx_pipeline import code_digest


@pytest.fixture
def packages(tmp_path):
    (tmp_path / "model/inputs").mkdir(parents=True)
    (tmp_path / "model/config.py").write_text("a = 1\n")
    (tmp_path / "model/inputs/reader.py").write_text("b = 1\n")
    (tmp_path / "model/inputs/notes.md").write_text("notes\n")
    (tmp_path / "model/evaluation").mkdir()
    (tmp_path / "model/evaluation/figures.py").write_text("c = 1\n")
    return tmp_path


TRAINING = ("model/*.py", "model/inputs")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("model/config.py", True),
        ("model/inputs/reader.py", True),
        ("model/inputs/notes.md", False),
        ("model/evaluation/figures.py", False),
    ],
)
def test_only_code_that_matters_counts(packages, name, changes):
    before = code_digest.digest(TRAINING, packages)
    (packages / name).write_text("x = 2\n")
    assert (code_digest.digest(TRAINING, packages) != before) is changes


def test_versions_of_packages_count(packages, monkeypatch):
    before = code_digest.digest(TRAINING, packages)
    other = code_digest.versions() | {"keras": "0"}
    monkeypatch.setattr(code_digest, "versions", lambda: other)
    assert code_digest.digest(TRAINING, packages) != before


@pytest.mark.parametrize(
    "name", ["DATA", "DATA_GATE", "TRAINING", "MODEL", "ALL"]
)
def test_every_part_is_there(name):
    for part in getattr(code_digest, name):
        assert code_digest._files(code_digest._ROOT, part), part
