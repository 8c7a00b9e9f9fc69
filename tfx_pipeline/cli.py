"""The command `tagforest`, with the commands of all packages."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings

import typer

from beam_jobs import cli as beam_jobs_cli
from beam_jobs.cli_options import PASS_TO_BEAM
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files.tensorflow_files import end_process
from model.evaluation.cli import evaluate
from model.features.cli import features, similar
from model.scores.cli import calibrate
from model.start.cli import import_tf1
from model.training.cli import train
from model.transfer.cli import transfer
from serving.bulk.cli import bulk
from serving.client.cli import tag
from serving.demo.cli import demo
from serving.saved_model.cli import export
from serving.server.cli import serve
from serving.tfserving.cli import doctor, promote, rollback, tfserving
from serving.ui.cli import ui
from tfx_pipeline.cli_pipeline import pipeline

app = typer.Typer(
    name="tagforest",
    help="From raw image annotations to a trained, served image tagger.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
beam_jobs_cli.register(app)
# In the order of --help.
for command in (
    *(train, import_tf1, calibrate, features, similar, evaluate, export),
    *(
        serve,
        tag,
        bulk,
        doctor,
        tfserving,
        promote,
        rollback,
        ui,
        pipeline,
        demo,
    ),
):
    app.command(context_settings=PASS_TO_BEAM if command is bulk else None)(
        command
    )
app.add_typer(transfer)


def main() -> None:
    """Runs the command line; a wrong input is one line and status 2."""
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
        status = 1
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    except Exception:
        # Here and not by the interpreter, which then waits for all threads.
        traceback.print_exc()
        status = 1
    # Threads that no end waits for are TensorFlow's.
    if "tensorflow" not in sys.modules:
        sys.exit(status)
    end_process(status)


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


if __name__ == "__main__":
    main()
