"""The one-way rule between the packages, and which modules stay light."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import those before it.
PACKAGES = ("beam_jobs", "model", "serving", "tfx_pipeline")
LIGHT = (
    "dataset/records",
    "classes/vocabulary",
    "classes/hierarchy",
    "classes/wordnet",
    "errors",
    "option_fields",
    "dataset/dataset_folder",
    "labels/label_rules",
)


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        module: its full name; of `from a import b` both a and a.b.
        line: where it stands.
        on_load: it is imported when the file is; not in a function, and not
            for type checkers only.
    """

    module: str
    line: int
    on_load: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def product_files() -> list[Path]:
    return sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))


def file_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@lru_cache
def imports_of(path: Path) -> tuple[Import, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).parent.parts
    return tuple(_walk(tree, package, on_load=True))


def _walk(
    node: ast.AST, package: tuple[str, ...], on_load: bool
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for module in _modules(child, package):
            yield Import(module, child.lineno, on_load)
        later = isinstance(
            child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        ) or _is_type_checking(child)
        yield from _walk(child, package, on_load and not later)


def _modules(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else ()
        base = ".".join([*above, *([node.module] if node.module else [])])
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and _is_import_module(node.func):
        literals = [a.value for a in node.args if isinstance(a, ast.Constant)]
        return [text for text in literals if isinstance(text, str)]
    return []


def _is_import_module(function: ast.expr) -> bool:
    names = ("import_module", "__import__")
    return getattr(function, "attr", getattr(function, "id", "")) in names


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def loaded_with(path: Path) -> set[str]:
    """Returns top-level names that importing a file imports, own ones too."""
    waiting, seen, names = [path], {path}, set()
    while waiting:
        for found in imports_of(waiting.pop()):
            if not found.on_load:
                continue
            names.add(found.top)
            own = ROOT.joinpath(*found.module.split("."))
            for file in (own.with_suffix(".py"), own / "__init__.py"):
                if found.top in PACKAGES and file.is_file():
                    waiting += [file] if file not in seen else []
                    seen.add(file)
    return names


def places(path: Path, tops: set[str]) -> list[str]:
    return [
        f"{file_id(path)}:{found.line} imports {found.module}"
        for found in imports_of(path)
        if found.top in tops
    ]


@pytest.mark.parametrize("path", product_files(), ids=file_id)
def test_packages_import_only_those_before_them(path):
    package = path.relative_to(ROOT).parts[0]
    after = PACKAGES[PACKAGES.index(package) + 1 :]
    assert places(path, {*after, "tests"}) == []


@pytest.mark.parametrize("package", PACKAGES[:-1])
def test_only_the_pipeline_imports_tfx(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert [place for f in files for place in places(f, {"tfx"})] == []


@pytest.mark.parametrize("module", LIGHT)
def test_plain_modules_stay_light(module):
    path = ROOT / "beam_jobs" / f"{module}.py"
    assert places(path, {"apache_beam"}) == []
    heavy = {"apache_beam", "tensorflow", "keras"}
    assert loaded_with(path) & heavy == set()


def test_every_form_of_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    source = (
        "import a\nfrom b import c\nfrom . import d\nfrom .e import f\n"
        "def g():\n    import h\n"
        "if TYPE_CHECKING:\n    import i\n"
        "j = importlib.import_module('k.l')\n"
    )
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "x.py"
    path.write_text(source)
    found = {f.module: (f.line, f.on_load) for f in imports_of(path)}
    assert found == {
        "a": (1, True),
        "b": (2, True),
        "b.c": (2, True),
        "model": (3, True),
        "model.d": (3, True),
        "model.e": (4, True),
        "model.e.f": (4, True),
        "h": (6, False),
        "i": (8, False),
        "k.l": (9, True),
    }
