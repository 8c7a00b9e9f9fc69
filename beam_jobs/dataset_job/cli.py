"""The commands `tagforest dataset` and `tagforest relabel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import option_names, takes_options
from beam_jobs.dataset_job.list_classes import ListOptions
from beam_jobs.dataset_job.options import DatasetOptions, RelabelOptions

if TYPE_CHECKING:
    from beam_jobs.dataset.manifest import Manifest

# Beam takes seconds to import: what can be refused without it is refused
# first.


_REUSED = (
    "nothing was built: this data set is already there, of the same sources "
    "and options; --overwrite builds it anew"
)


@takes_options
def dataset(context: typer.Context, options: DatasetOptions) -> None:
    """Build TFRecords with closed labels from raw annotations.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.files.checks import check_output_folder
    from beam_jobs.sources.find_sources import check_sources

    check_sources(options.sources)
    check_output_folder(options.out)
    from beam_jobs.dataset_job.build_dataset import build_dataset
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(context.args, option_names(context))
    manifest = build_dataset(
        options,
        context.args,
        on_reuse=lambda: typer.echo(_REUSED),
        on_note=typer.echo,
    )
    _tell(manifest, options.out)


@takes_options
def relabel(context: typer.Context, options: RelabelOptions) -> None:
    """Make the labels of a data set anew; images are not read again.

    Options not listed here go to Beam.
    """
    from beam_jobs.files.checks import check_output_folder

    check_output_folder(options.out)
    from beam_jobs.dataset_job.relabel import relabel
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(context.args, option_names(context))
    _tell(relabel(options, context.args), options.out)


@takes_options
def classes(context: typer.Context, options: ListOptions) -> None:
    """Show which class each name of the sources would become, and why.

    Options not listed here go to Beam.
    """
    from beam_jobs.sources.find_sources import check_sources

    check_sources(options.sources)
    from beam_jobs.dataset_job.list_classes import list_classes
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(context.args, option_names(context))
    notes: list[str] = []
    rows = list_classes(options, context.args, on_note=notes.append)
    _show(rows, notes, options.out)


def _show(
    rows: list[dict[str, str]], notes: list[str], out: str | None
) -> None:
    from beam_jobs.classes.class_choices import summarise

    for row in rows:
        typer.echo(_line(row))
    for line in [*summarise(rows), *notes]:
        typer.echo(line)
    if out:
        typer.echo(f"edit {out}, then: tagforest dataset ... --class-map {out}")


def _line(row: dict[str, str]) -> str:
    name = row["synset"].partition(", ")[0]
    parent = f" below {row['parent']}" if row["parent"] else ""
    shared = f"; also {row['merged_with']}" if row["merged_with"] else ""
    what = f"{row['wnid'] or 'no class'} {name}".rstrip()
    images = row["images"] or "?"
    text = f"{row['display_name']} -> {what}{parent} ({row['rule']}){shared}"
    return f"{images:>8}  {text}"


def _tell(manifest: Manifest, out: str) -> None:
    from beam_jobs.classes.class_choices import read_choices, summarise
    from beam_jobs.dataset import dataset_folder
    from beam_jobs.dataset.manifest import describe
    from beam_jobs.files import storage

    typer.echo(describe(manifest, out))
    table = storage.join(out, dataset_folder.CLASS_CHOICES)
    if storage.exists(table):
        for line in summarise(read_choices(table), table):
            typer.echo(line)
    typer.echo(f"next: tagforest train {out} --workdir runs/first")
