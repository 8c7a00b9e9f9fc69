"""The command `tagforest relabel`."""

from __future__ import annotations

from typing import Annotated

import typer

from beam_jobs.errors import InputError
from beam_jobs.records import Rule, Source


def relabel(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Folder of a data set.")],
    out: Annotated[str, typer.Option(help="Folder of the new data set.")],
    cooccurrence: Annotated[
        str | None,
        typer.Option(help="Pairs that `tagforest cooccurrence` found."),
    ] = None,
    without_rule: Annotated[
        list[str] | None,
        typer.Option(help="Switch a rule off: ancestor or co_occurrence."),
    ] = None,
    without_source: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out annotations of a source, for example "
            "open_images_machine."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace another data set in OUT.")
    ] = False,
) -> None:
    """Make the labels of a data set anew; images are not read again.

    Options not listed here go to Beam.
    """
    rules = [_member(Rule, name, "rule") for name in without_rule or ()]
    sources = [_member(Source, n, "source") for n in without_source or ()]
    from beam_jobs.beam_args import check_beam_args
    from beam_jobs.checks import check_output_folder

    check_output_folder(out)
    check_beam_args(context.args)
    from beam_jobs.cli import describe
    from beam_jobs.relabel import RelabelOptions, relabel

    options = RelabelOptions(
        dataset, out, cooccurrence, rules, sources, overwrite
    )
    manifest = relabel(options, context.args)
    typer.echo(describe(manifest, out))
    typer.echo(f"next: tagforest train {out} --workdir runs/first")


def _member(kind, name: str, what: str):
    allowed = [member.name.lower() for member in kind]
    if kind is Rule:
        # What an image was annotated with is all there is to start from.
        allowed.remove("annotated")
    if name.lower() not in allowed:
        raise InputError(
            f"--without-{what}: one of {', '.join(allowed)}; received: {name}"
        )
    return kind[name.upper()]
