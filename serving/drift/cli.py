"""`tagforest drift`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.errors import InputError
from serving.drift.options import DriftOptions

# Neither a failure's nor a wrong input's.
DRIFT_FOUND = 3


@takes_options
def drift(
    log: Annotated[
        Path, typer.Argument(help="File of `tagforest serve --request-log`.")
    ],
    model: Annotated[
        Path,
        typer.Option(help="The export that answered, or its base folder."),
    ],
    options: DriftOptions,
) -> None:
    """Compare what a model is asked now with what it was made for.

    Shares of tags, by class and subtree, scores, and the images' light, sizes
    and compression, against held-out images (`tagforest export --reference`)
    or another log. Status 0: no alarm; 3: drift; 2: wrong input.
    """
    for path in (options.page, options.tensorboard):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"no such folder: {path.parent}")
    from rich.console import Console

    from serving.drift import report
    from serving.drift.drift import find_drift

    found = find_drift(log, model, options)
    for line in report.summary(found, options.alpha):
        typer.echo(line)
    Console().print(report.table(found))
    if options.page is not None:
        from serving.drift.page import write_page

        write_page(found, options)
        typer.echo(f"  {options.page}")
    if options.tensorboard is not None:
        from serving.drift.board import write_board

        write_board(found, options.tensorboard)
        typer.echo(f"  {options.tensorboard}")
    if found.comparison.alarms:
        raise typer.Exit(DRIFT_FOUND)
