"""Commands: `tagforest` in this process, Python in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from click.testing import Result


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    """Runs `tagforest ARGUMENTS`; wrong input is the result's exception."""
    from typer.testing import CliRunner

    from tfx_pipeline.cli import app

    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def python(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    """Runs Python with these arguments; keeps what it says as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=240,
    )


def loaded_by(code: str, *names: str) -> list[str]:
    """Returns which of the named modules are loaded after some code."""
    asked = f"import sys\nprint([m for m in {names!r} if m in sys.modules])"
    done = python("-c", f"{code}\n{asked}")
    assert done.returncode == 0, done.stderr
    return eval(done.stdout, {})
