"""The one-way rule between packages and inside them, and what stays light."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import those before it.
PACKAGES = ("beam_jobs", "model", "serving", "tfx_pipeline")
# Inside a package, from the bottom to the top: modules and folders of one floor
# do not import each other.
FLOORS = {
    "beam_jobs": (
        ("errors", "split_names", "stop_signals"),
        ("files", "option_fields", "pages"),
        (
            "classes",
            "cli_options",
            "command_line",
            "rejections",
            "runners",
            "scenes",
        ),
        ("images", "labels"),
        ("dataset", "sources"),
        ("cooccurrence", "download", "statistics"),
        ("data_gate", "dataset_job"),
        ("forget",),
        ("cli",),
    ),
    "model": (
        ("backbone_names", "config_checks", "workdir"),
        ("checkpoint_files",),
        ("extension_notes", "full_disk", "loss_kinds", "workers"),
        ("config_data", "config_outputs", "config_sections"),
        ("config",),
        ("configs", "inputs", "losses"),
        ("network",),
        ("features", "monitoring", "scores", "start"),
        ("evaluation", "training"),
        ("audit", "transfer"),
    ),
    "serving": (
        ("api",),
        ("sidecars", "traffic"),
        ("client", "saved_model"),
        ("bulk", "drift", "formats", "tfserving", "ui"),
        ("server",),
        ("demo",),
    ),
    "tfx_pipeline": (
        ("names",),
        ("code_digest", "outcomes", "places", "resources", "spans", "state"),
        ("run_options",),
        ("find_inputs",),
        ("components",),
        ("pipeline", "report"),
        ("executions", "lineage", "progress"),
        ("kubeflow_runner", "prune"),
        ("local_runner",),
        ("cli_lineage", "cli_pipeline"),
        ("cli",),
    ),
}
HEAVY = {"apache_beam", "keras", "matplotlib", "tensorflow", "tfx"}
# What `--help` and the refusal of wrong input load: commands, options, checks.
LIGHT = (
    "beam_jobs/option_fields.py",
    *("**/cli.py", "**/cli_*.py", "**/options.py", "**/*_options.py"),
    *("**/errors.py", "**/checks.py", "model/config*.py", "model/configs/*.py"),
    "model/loss_kinds.py",
    *("beam_jobs/dataset/*.py", "beam_jobs/classes/*.py"),
    *("beam_jobs/labels/label_rules.py", "beam_jobs/labels/ledger.py"),
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


def own_files(path: Path) -> set[Path]:
    """Returns the product's modules that a file imports, at any time."""
    found = {
        ROOT.joinpath(*found.module.split(".")).with_suffix(".py")
        for found in imports_of(path)
        if found.top in PACKAGES
    }
    return {file for file in found if file.is_file()}


def room(path: Path) -> str:
    """Returns the folder or module of its package that a file is of."""
    return path.relative_to(ROOT).with_suffix("").parts[1]


def not_below(package: str) -> list[tuple[str, str]]:
    """Returns (file, room) of imports from beside or above."""
    floor_of = {r: i for i, rooms in enumerate(FLOORS[package]) for r in rooms}
    return sorted(
        {
            (file_id(path), room(other))
            for path in rooms_files(package)
            for other in own_files(path)
            if other.is_relative_to(ROOT / package)
            if room(other) != room(path)
            if floor_of[room(other)] >= floor_of[room(path)]
        }
    )


def rooms_files(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    return [path for path in files if path.parts[-1] != "__init__.py"]


def circle(files: list[Path]) -> list[str]:
    """Returns the modules of one import circle, if there is any."""
    graph = graphlib.TopologicalSorter({f: own_files(f) - {f} for f in files})
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        return [file_id(path) for path in error.args[1]]
    return []


def light_files() -> list[Path]:
    found = {
        path
        for pattern in LIGHT
        for path in ROOT.glob(pattern)
        if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    return sorted(found)


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


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_stands_on_one_floor(package):
    rooms = [room for floor in FLOORS[package] for room in floor]
    assert sorted(rooms) == sorted({room(p) for p in rooms_files(package)})


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_only_from_floors_below(package):
    assert not_below(package) == []


def test_no_modules_import_in_a_circle():
    assert circle(product_files()) == []


@pytest.mark.parametrize("path", light_files(), ids=file_id)
def test_light_modules_load_no_framework(path):
    assert loaded_with(path) & HEAVY == set()


@pytest.fixture
def two_rooms(tmp_path, monkeypatch):
    """Returns a function that writes a package of two floors."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "FLOORS", {"model": (("a", "b"), ("c",))})

    def write(**sources: str) -> None:
        for name, source in sources.items():
            path = tmp_path / "model" / f"{name.replace('_', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        imports_of.cache_clear()

    return write


def test_imports_upwards_and_sideways_are_found(two_rooms):
    two_rooms(
        a="from model.c import x, z\nimport model.b.y\n",
        b_y="def late():\n    from model.c.x import z\n",
        c_x="import model.a\nfrom model.b import y\nfrom model.c import w\n",
        c_w="import json\n",
    )
    assert not_below("model") == [
        ("model/a.py", "b"),
        ("model/a.py", "c"),
        ("model/b/y.py", "c"),
    ]


def test_circles_are_found(two_rooms):
    two_rooms(a="", c_x="from model.c import w\n", c_w="import model.a\n")
    assert circle(product_files()) == []
    two_rooms(c_w="def late():\n    from model.c.x import z\n")
    assert set(circle(product_files())) == {"model/c/w.py", "model/c/x.py"}


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
