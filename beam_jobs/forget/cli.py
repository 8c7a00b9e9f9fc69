"""The command `tagforest forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.forget.names import read_names, say
from beam_jobs.forget.options import ForgetOptions

if TYPE_CHECKING:
    from beam_jobs.forget.forget import Forgotten


@takes_options
def forget(options: ForgetOptions) -> None:
    """Take images out of a data set, and of what was made beside it.

    All other records keep their bytes. Start it again after any stop.
    """
    options.check()
    read_names(options.images)
    from beam_jobs.forget.forget import forget as run

    for line in describe(run(options), options):
        typer.echo(line)


def describe(done: Forgotten, options: ForgetOptions) -> list[str]:
    """Returns a few lines on what was done, for the terminal."""
    lines = [
        f"{done.images} images forgotten, {done.left} left in "
        f"{options.dataset}; no file there holds their ids, URLs or bytes"
    ]
    lines += [
        f"  {count} x image, and what is logged of it: {folder}"
        for folder, count in done.downloads.items()
    ]
    lines += [
        f"  {count} x row of features: {path}"
        for path, count in done.features.items()
    ]
    if done.unknown:
        lines.append(f"  {len(done.unknown)} in no record: {say(done.unknown)}")
    lines += [
        f"  saw the images and is as it was: {folder}" for folder in done.saw
    ]
    lines.append(
        "class_choices.tsv and vocabulary_report.tsv keep the counts of the "
        "job that made the data set"
    )
    lines.append(
        "sources and lists of URLs still name them: take them out there, or "
        "the next job brings them back"
    )
    return lines
