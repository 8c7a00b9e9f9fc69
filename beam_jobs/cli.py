"""Commands of the data's way: from URLs and annotations to TFRecords."""

from __future__ import annotations

import typer

from beam_jobs.classes import cli
from beam_jobs.cli_options import (
    PASS_TO_BEAM,
)
from beam_jobs.cooccurrence.cli import cooccurrence
from beam_jobs.dataset_job.cli import classes, dataset, relabel
from beam_jobs.download.cli import download
from beam_jobs.forget.cli import forget
from beam_jobs.scenes.cli import scenes


def register(app: typer.Typer) -> None:
    """Adds the commands to an app."""
    for command in (download, classes, dataset, cooccurrence, relabel):
        app.command(context_settings=PASS_TO_BEAM)(command)
    cli.register(app)
    app.command()(forget)
    app.command()(scenes)
