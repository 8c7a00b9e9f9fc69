"""The command `tagforest demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where everything of the demo goes.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the drawing.")] = 0,
) -> None:
    """Draw scenes, build records, train, evaluate, serve and tag."""
    from serving.demo.demo import run_demo

    run_demo(folder, seed=seed)
