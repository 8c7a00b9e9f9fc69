"""The command `tagforest` of the client alone: `tagforest tag`."""

from __future__ import annotations

import typer

from beam_jobs.command_line import run
from serving.client.cli import tag

app = typer.Typer(
    name="tagforest",
    help="Tags images on a running server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(tag)


# With it, the one command keeps its name.
@app.callback()
def _client() -> None:
    pass


def main() -> None:
    """Runs the command line; a wrong input is one line and status 2."""
    run(app)


if __name__ == "__main__":
    main()
