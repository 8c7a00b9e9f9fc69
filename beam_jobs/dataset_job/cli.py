"""The commands `tagforest dataset` and `tagforest relabel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import option_names, takes_options
from beam_jobs.dataset_job.options import DatasetOptions, RelabelOptions

if TYPE_CHECKING:
    from beam_jobs.dataset.manifest import Manifest

# Beam takes seconds to import: what can be refused without it is refused
# first.


@takes_options
def dataset(context: typer.Context, options: DatasetOptions) -> None:
    """Build TFRecords with augmented labels from raw annotations.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.files.checks import check_output_folder
    from beam_jobs.sources.find_sources import check_sources

    check_sources(options.sources)
    check_output_folder(options.out)
    from beam_jobs.dataset_job.build_dataset import build_dataset
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(context.args, option_names(context))
    _tell(build_dataset(options, context.args), options.out)


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


def _tell(manifest: Manifest, out: str) -> None:
    from beam_jobs.dataset.manifest import describe

    typer.echo(describe(manifest, out))
    typer.echo(f"next: tagforest train {out} --workdir runs/first")
