"""A digest of the code and packages that a component's result depends on.

TFX's cache key has the executor's dotted path in it, not what is behind it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Collection
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("apache-beam", "keras", "nltk", "numpy", "pillow", "tensorflow")

_COMPONENTS = ("tfx_pipeline/components",)

# What the parts of the pipeline are made of, below the packages' folder.
DATA = ("beam_jobs",)
# What judges and presents a model changes no weight.
TRAINING = (
    *("beam_jobs/classes", "beam_jobs/dataset", "model/*.py", "model/inputs"),
    *("model/losses", "model/network", "model/start", "model/training"),
    "model/workers",
)
# Of the checks behind the records; the components that run them are in it.
DATA_GATE = ("beam_jobs/data_gate", "beam_jobs/dataset", *_COMPONENTS)
MODEL = (
    *("beam_jobs", "model", "serving/api", "serving/saved_model"),
    *("serving/server", *_COMPONENTS),
)
ALL = ("beam_jobs", "model", "serving", "tfx_pipeline")


def versions() -> dict[str, str]:
    """Returns the versions of the packages that results depend on."""
    names = (*_LIBRARIES, "tfx", "tensorflow-model-analysis")
    return {name: importlib.metadata.version(name) for name in names}


def digest(parts: Collection[str], root: Path = _ROOT, length: int = 16) -> str:
    """Returns a SHA-256 over source files and the libraries' versions.

    Args:
        parts: folders, with all below them, or patterns of files.
        root: folder of the packages.
    """
    total = hashlib.sha256(repr(sorted(versions().items())).encode())
    for path in sorted({p for part in parts for p in _files(root, part)}):
        name = path.relative_to(root).as_posix()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()[:length]


def _files(root: Path, part: str) -> list[Path]:
    if part.endswith(".py"):
        return list(root.glob(part))
    return [
        path
        for path in (root / part).rglob("*")
        if path.is_file() and path.suffix in (".py", ".tsv")
    ]
