"""The command `tagforest`, with the commands of all packages."""

from __future__ import annotations

import typer

from beam_jobs import cli as beam_jobs_cli
from beam_jobs.cli_options import PASS_TO_BEAM
from beam_jobs.command_line import run
from model.audit.cli import audit
from model.evaluation.cli import evaluate
from model.features.cli import features, similar
from model.scores.cli import calibrate
from model.start.cli import import_tf1
from model.training.cli import find_rate, train
from model.transfer.cli import transfer
from serving.bulk.cli import bulk
from serving.client.cli import tag
from serving.demo.cli import demo
from serving.drift.cli import drift
from serving.formats.cli import export
from serving.server.cli import serve
from serving.tfserving.cli import doctor, promote, rollback, tfserving
from serving.ui.cli import ui
from tfx_pipeline.cli_lineage import lineage
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
    *(train, find_rate, import_tf1, calibrate, features, similar),
    *(evaluate, audit, export),
    *(
        serve,
        tag,
        drift,
        bulk,
        doctor,
        tfserving,
        promote,
        rollback,
        ui,
        lineage,
        demo,
    ),
):
    app.command(context_settings=PASS_TO_BEAM if command is bulk else None)(
        command
    )
app.add_typer(transfer)
app.add_typer(pipeline)


def main() -> None:
    """Runs the command line; a wrong input is one line and status 2."""
    run(app)


if __name__ == "__main__":
    main()
