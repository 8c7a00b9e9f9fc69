"""How a command line runs and ends, whichever commands it has."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import NoReturn

import typer

from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files.disk_errors import of_disk
from beam_jobs.files.tensorflow_files import end_process


def run(app: typer.Typer) -> NoReturn:
    """Runs a command line; a wrong input is one line and status 2."""
    _quieten()
    # TensorFlow uses oneDNN by itself only on CPUs with AVX-512; with AVX2
    # alone it trains the small networks here 1.8 times faster too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        # Without Typer's own box of several lines for a wrong option.
        status = app(standalone_mode=False) or 0
    except typer.TyperException as error:
        status = _refuse(error)
    except InputError as error:
        print(f"tagforest: {error}", file=sys.stderr)
        status = 2
    except JobFailedError as error:
        print(f"tagforest: {error}", file=sys.stderr)
        status = error.status
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    except Exception as error:
        status = _fail(error)
    # Threads that no end waits for are TensorFlow's.
    if "tensorflow" not in sys.modules:
        sys.exit(status)
    end_process(status)


def _fail(error: Exception) -> int:
    """Says what a disk would not take in one line, else all; the status."""
    if said := of_disk(error):
        # As TensorFlow says it, a path and more is before it.
        where = getattr(error, "filename", None) or "the disk"
        print(f"tagforest: {where}: {said}", file=sys.stderr)
        return 2
    # Here and not by the interpreter, which then waits for all threads.
    traceback.print_exception(error)
    return 1


def _refuse(error: typer.TyperException) -> int:
    """Says in one line what is wrong with the options; returns the status."""
    # `tagforest` alone has shown its help.
    if len(sys.argv) > 1:
        said = " ".join(error.format_message().split())
        print(f"tagforest: {said}", file=sys.stderr)
    return error.exit_code


def _quieten() -> None:
    """Keeps what users cannot act on out of their terminal."""
    # TensorFlow's C++ lines: at level 2 it still says on every start that
    # three CUDA libraries are registered twice. Exceptions are not affected.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow calls it old to load models into sessions, as serving does.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Google's clients and Beam warn about Python 3.10 and each other.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
