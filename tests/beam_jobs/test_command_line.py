from __future__ import annotations

import pytest

from tests.helpers.commands import python

APP = """
import errno, os, typer
from beam_jobs.command_line import run
app = typer.Typer()

@app.command()
def fail():
    try:
        {raised}
    except OSError as error:
        raise RuntimeError("writing failed") from error

run(app)
"""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("open('/dev/full', 'w').write('a' * 10**6)", "No space left"),
        ("raise OSError(errno.EROFS, os.strerror(errno.EROFS))", "Read-only"),
        ("raise PermissionError(13, os.strerror(13), 'a')", "Permission"),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line(raised, said):
    done = python("-c", APP.format(raised=raised))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("tagforest: ") and said in line


def test_any_other_error_is_told_whole():
    done = python("-c", APP.format(raised="raise OSError(2, 'gone')"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "writing failed" in done.stderr
