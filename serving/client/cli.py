"""`tagforest tag`; heavy imports wait until it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.option_fields import Without
from serving.api.cli_options import Sure, chosen_tags
from serving.api.tag_options import TagOptions
from serving.client.client_options import TagRun


@takes_options
def tag(
    *,
    run: Annotated[TagRun, Without("options")],
    sure: Sure = False,
    select: Annotated[TagOptions, Without("max_labels")],
) -> None:
    """Tag images with a running server.

    An image that cannot be read or tagged gets a line that says why, and the
    others go on.
    """
    # Whoever looks for a word later wants no guesses.
    sure = sure or run.sidecars.xmp
    select = run.sidecars.asked(select)
    options = chosen_tags(select, sure, None if run.leaves else run.most)
    from serving.client.tag_command import run_tag

    if not run_tag(replace(run, options=options)):
        raise typer.Exit(1)
