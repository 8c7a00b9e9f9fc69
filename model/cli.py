"""`tagforest train`: a thin shell over `model.training.train.train`."""

from __future__ import annotations

import typer

from model.features import cli as features_cli
from model.scores import cli as scores_cli
from model.training.cli import train


def register(app: typer.Typer) -> None:
    """Adds this package's commands to the root app, `evaluate` excepted."""
    app.command("train")(train)
    scores_cli.register(app)
    features_cli.register(app)
