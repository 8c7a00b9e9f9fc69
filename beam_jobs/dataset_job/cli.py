"""The command `tagforest relabel`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from beam_jobs.cli_options import (
    dataset_options,
    option_names,
    source_paths,
    takes_dataset_options,
)
from beam_jobs.dataset.manifest import describe
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source


@takes_dataset_options
def dataset(
    context: typer.Context,
    out: Annotated[
        str, typer.Option(help="Folder of the data set, local or gs://...")
    ],
    given: dict[str, Any],
) -> None:
    """Build TFRecords with augmented labels from raw annotations.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.files.checks import check_output_folder
    from beam_jobs.sources.find_sources import check_sources

    # Beam takes seconds to import; say at once if nothing can be read.
    check_sources(vars(source_paths(given)))
    check_output_folder(out)
    from beam_jobs.dataset_job.build_dataset import build_dataset
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(context.args, option_names(context))
    manifest = build_dataset(dataset_options(given, out), context.args)
    typer.echo(describe(manifest, out))
    typer.echo(f"next: tagforest train {out} --workdir runs/first")


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
    from beam_jobs.files.checks import check_output_folder
    from beam_jobs.runners.beam_options import check_beam_args

    check_output_folder(out)
    check_beam_args(context.args)
    from beam_jobs.dataset.manifest import describe
    from beam_jobs.dataset_job.relabel import RelabelOptions, relabel

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
