"""The command `tagforest download`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.download.options import DownloadOptions
from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from beam_jobs.download.download import Summary


@takes_options
def download(context: typer.Context, options: DownloadOptions) -> None:
    """Download the images of URL lists; start again to go on.

    Options not listed here go to Beam and come last: --direct_num_workers 2
    and so on.
    """
    from beam_jobs.files.checks import check_output_folder

    check_output_folder(options.out)
    paths, beam_args = split_arguments([*options.lists, *context.args])
    # Beam takes seconds to import; say at once if nothing can be read.
    check_lists(paths)
    from beam_jobs.download.download import download as run

    out = Path(options.out)
    summary = run(replace(options, lists=tuple(paths)), beam_args)
    typer.echo(describe(summary, out))
    typer.echo(next_step(paths, out))


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the lists, and Beam's options, which follow them.

    Example:
        >>> split_arguments(["a.txt", "b.csv", "--direct_num_workers", "2"])
        (['a.txt', 'b.csv'], ['--direct_num_workers', '2'])
    """
    starts = (i for i, text in enumerate(arguments) if text.startswith("-"))
    start = next(starts, len(arguments))
    return list(arguments[:start]), list(arguments[start:])


def check_lists(paths: Sequence[str]) -> None:
    """Checks that there are lists, and that local ones exist.

    Raises:
        InputError: there is none, or one is missing.
    """
    if not paths:
        raise InputError(
            "name a list of URLs before the options that go to Beam: "
            "tagforest download LIST --out FOLDER"
        )
    for path in paths:
        if "://" not in path and not Path(path).is_file():
            raise InputError(f"no such list of URLs: {path}")


def describe(summary: Summary, out: Path) -> str:
    """Returns a few lines on a download, for the terminal."""
    lines = [
        f"{summary.urls} URLs in = {summary.out} images out "
        f"({summary.bytes / 1e6:,.1f} MB) + {summary.rejected} rejected",
        f"{summary.fetched} fetched in this run, {summary.duplicates} rows "
        f"named a URL again; images in {out / 'images'}",
    ]
    for reason, count in summary.reasons.items():
        letters = out / "dead_letters" / f"{reason}.jsonl"
        lines.append(f"  {count} x {reason}: {letters}")
    return "\n".join(lines)


def next_step(lists: Sequence[str], out: Path) -> str:
    """Returns the command that most likely follows."""
    option = "--csv" if lists[0].endswith(".csv") else "--tencent-lists"
    return (
        f"next: tagforest dataset {option} {lists[0]} --images "
        f"{out / 'images'} --out DATASET"
    )
