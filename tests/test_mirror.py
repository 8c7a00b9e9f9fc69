"""The tests mirror the product: same folders, same names, no imports across."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGES = ("beam_jobs", "model", "serving", "tfx_pipeline")
# Named for a behaviour of several modules, or for one part of a module's.
BEHAVIOURS = {
    "beam_jobs/dataset_job/test_bad_records.py",
    "beam_jobs/dataset_job/test_killed_jobs.py",
    "beam_jobs/dataset_job/test_same_data_by_all_roads.py",
    "beam_jobs/dataset_job/test_tencent_rows.py",
    "beam_jobs/download/test_killed_downloads.py",
    "beam_jobs/images/test_check_image_colours.py",
    "beam_jobs/sources/test_find_sources_checks.py",
    "beam_jobs/sources/test_tencent_lists.py",
    "model/evaluation/test_evaluate_dataset.py",
    "model/training/test_fault_tolerance.py",
    "model/training/test_lost_hosts.py",
    "serving/deploy/test_dashboard.py",
    "serving/deploy/test_kubernetes.py",
    "serving/deploy/test_proxies.py",
    "serving/server/test_conformance.py",
    "serving/server/test_hostile_requests.py",
    "serving/server/test_load.py",
    "serving/server/test_own_classes.py",
    "tfx_pipeline/test_ongoing_runs.py",
}


def name(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def files(root: Path = TESTS) -> list[Path]:
    return sorted(p for p in root.rglob("*.py") if "bench" not in p.parts)


def path_of_module(test: Path) -> Path:
    folder = ROOT / test.relative_to(TESTS).parent
    return folder / test.name.removeprefix("test_")


def imported(path: Path) -> set[str]:
    """Returns the modules that a file imports, one with a dot if relative."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def imports_of_tests(path: Path) -> list[str]:
    """Returns imports of tests; what is shared lies in tests.helpers."""
    return sorted(
        module
        for module in imported(path)
        if module.startswith(".")
        or any(p.startswith(("test_", "conftest")) for p in module.split("."))
    )


@pytest.mark.parametrize("path", files(), ids=name)
def test_no_file_imports_a_test(path):
    assert imports_of_tests(path) == []


@pytest.mark.parametrize(
    "line",
    [
        "from .test_build_dataset import picture",
        "from tests.beam_jobs import conftest",
        "import tests.model.training.test_train",
        "from tests.model.training import test_train",
    ],
)
def test_imports_of_tests_are_found(tmp_path, line):
    path = tmp_path / "test_a.py"
    path.write_text(f"def late():\n    {line}\n")
    assert imports_of_tests(path)
    path.write_text("from tests.helpers.images import encode\nimport io\n")
    assert imports_of_tests(path) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_is_one_of_the_product(package):
    folders = {name(path.parent) for path in files(TESTS / package)}
    assert [f for f in folders if not (ROOT / f).is_dir()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_is_named_for_a_module(package):
    without = {
        name(path)
        for path in files(TESTS / package)
        if path.name.startswith("test_")
        if not path_of_module(path).is_file()
    }
    assert without == {n for n in BEHAVIOURS if n.startswith(package)}
