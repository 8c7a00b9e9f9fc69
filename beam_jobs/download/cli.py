"""The command `tagforest download`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from beam_jobs.download.download import Summary


def download(
    context: typer.Context,
    lists: Annotated[
        list[str],
        typer.Argument(
            metavar="LIST...",
            help="Files with a URL first on each line, or CSVs with a column "
            "of URLs.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the downloads.")],
    url_column: Annotated[
        str | None,
        typer.Option(
            help="Column of CSVs. Default: url, OriginalURL or "
            "Thumbnail300KURL."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(help="Requests at a time, each worker.")
    ] = 64,
    per_host_rate: Annotated[
        float, typer.Option(help="Requests a second and host; 0: no limit.")
    ] = 10.0,
    per_host_concurrency: Annotated[
        int, typer.Option(help="Requests at a time and host; 0: no limit.")
    ] = 8,
    connect_timeout: Annotated[
        float, typer.Option(help="Seconds until a connection stands.")
    ] = 10.0,
    read_timeout: Annotated[
        float, typer.Option(help="Seconds between two pieces of an answer.")
    ] = 20.0,
    timeout: Annotated[
        float, typer.Option(help="Seconds for a whole answer.")
    ] = 60.0,
    retries: Annotated[
        int, typer.Option(help="Further attempts where they may help.")
    ] = 3,
    backoff: Annotated[
        float,
        typer.Option(help="Seconds before the first of them, then doubled."),
    ] = 1.0,
    max_wait: Annotated[
        float,
        typer.Option(help="Most seconds between attempts, also if asked."),
    ] = 60.0,
    max_bytes: Annotated[
        int, typer.Option(help="Most bytes of a picture.")
    ] = 32 * 1024 * 1024,
    max_pixels: Annotated[
        int, typer.Option(help="Most pixels of a picture.")
    ] = 64_000_000,
    min_side: Annotated[
        int, typer.Option(help="Least shorter side, pixels.")
    ] = 8,
    placeholders: Annotated[
        Path | None,
        typer.Option(help='File of sha256 of pictures that say "no photo".'),
    ] = None,
    placeholder_copies: Annotated[
        int,
        typer.Option(help="So many URLs of one picture: no photo; 0: never."),
    ] = 20,
    replay: Annotated[
        list[str] | None,
        typer.Option(help="Fetch this class of failures again; repeatable."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option(help="Ask private and loopback addresses too.")
    ] = False,
    user_agent: Annotated[
        str, typer.Option(help="What servers are told. Default: our name.")
    ] = "",
) -> None:
    """Download the pictures of URL lists; start again to go on.

    Options not listed here go to Beam and come last: --direct_num_workers 2
    and so on.
    """
    from beam_jobs.files.checks import check_output_folder

    check_output_folder(out)
    paths, beam_args = split_arguments([*lists, *context.args])
    # Beam takes seconds to import; say at once if nothing can be read.
    check_lists(paths)
    from beam_jobs.download.download import download as run
    from beam_jobs.download.options import (
        DownloadOptions,
        parse_reasons,
        read_placeholders,
    )
    from beam_jobs.images.options import ImageLimits

    known = read_placeholders(str(placeholders)) if placeholders else ()
    options = DownloadOptions(
        out=str(out),
        lists=tuple(paths),
        url_column=url_column,
        concurrency=concurrency,
        per_host_rate=per_host_rate,
        per_host_concurrency=per_host_concurrency,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        timeout=timeout,
        retries=retries,
        backoff=backoff,
        max_wait=max_wait,
        limits=ImageLimits(max_bytes, max_pixels, min_side),
        placeholders=frozenset(known),
        placeholder_copies=placeholder_copies,
        allow_private=allow_private,
        user_agent=user_agent,
        replay=parse_reasons(replay or ()),
    )
    summary = run(options, beam_args)
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
    from beam_jobs.errors import InputError

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
        f"{summary.urls} URLs in = {summary.out} pictures out "
        f"({summary.bytes / 1e6:,.1f} MB) + {summary.rejected} rejected",
        f"{summary.fetched} fetched in this run, {summary.duplicates} rows "
        f"named a URL again; pictures in {out / 'images'}",
    ]
    for reason, count in summary.reasons.items():
        letters = out / "dead_letters" / f"{reason}.jsonl"
        lines.append(f"  {count} x {reason}: {letters}")
    return "\n".join(lines)


def next_step(lists: Sequence[str], out: Path) -> str:
    """Returns the command that most likely follows."""
    option = "--open-images" if lists[0].endswith(".csv") else "--tencent-lists"
    return (
        f"next: tagforest dataset {option} {lists[0]} --images "
        f"{out / 'images'} --out DATASET"
    )
