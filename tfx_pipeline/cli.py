"""The command `tagforest`: every package adds its own commands."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import typer

from beam_jobs import cli as beam_jobs_cli
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files.tensorflow_files import end_process
from model import cli as model_cli
from model.evaluation import cli as evaluation_cli
from serving.bulk import cli as bulk_cli
from serving.client import cli as client_cli
from serving.demo import cli as demo_cli
from serving.saved_model import cli as saved_model_cli
from serving.server import cli as server_cli
from serving.tfserving import cli as tfserving_cli
from serving.ui import cli as ui_cli
from tfx_pipeline import cli_pipeline as pipeline_commands

app = typer.Typer(
    name="tagforest",
    help="From raw image annotations to a trained, served image tagger.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (
    beam_jobs_cli,
    model_cli,
    evaluation_cli,
    saved_model_cli,
    server_cli,
    client_cli,
    bulk_cli,
    tfserving_cli,
    ui_cli,
    tfserving_cli,
    pipeline_commands,
    demo_cli,
):
    commands.register(app)


def main() -> None:
    """Runs the command line; a wrong input is one line and status 2."""
    _quieten()
    # TensorFlow uses oneDNN by itself only on CPUs with AVX-512; with AVX2
    # alone it trains the small networks here 1.8 times faster too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        app()
        status = 0
    except InputError as error:
        print(f"tagforest: {error}", file=sys.stderr)
        status = 2
    except JobFailedError as error:
        print(f"tagforest: {error}", file=sys.stderr)
        status = 1
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    end_process(status)


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


if __name__ == "__main__":
    main()
