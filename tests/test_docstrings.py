"""Every example in a docstring says what really happens."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("beam_jobs", "model", "serving", "tfx_pipeline")
# Examples that cannot run here: how many of a module, and why.
SKIPPED = {
    "serving.client.tag_client": (1, "needs a running server and a photograph")
}

# Modules with an example that is known to fail, and why; it must fail.
DEFECTS: dict[str, str] = {}


def modules_with_examples() -> list[str]:
    files = (p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if ">>> " in path.read_text(encoding="utf-8")
    )


def _parameter(name: str):
    xfail = pytest.mark.xfail(reason=DEFECTS.get(name), strict=True)
    return pytest.param(name, marks=[xfail] if name in DEFECTS else [])


@pytest.mark.parametrize(
    "name", [_parameter(name) for name in modules_with_examples()]
)
def test_examples(name):
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module)
    examples = [example for test in found for example in test.examples]
    assert examples, "the file has >>> but no docstring that doctest finds"
    skipped = [e for e in examples if e.options.get(doctest.SKIP)]
    assert len(skipped) == SKIPPED.get(name, (0, ""))[0]
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
