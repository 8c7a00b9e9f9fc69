"""`tagforest bulk`; heavy imports wait until it runs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.cli_options import option_names, takes_options
from beam_jobs.errors import InputError
from beam_jobs.option_fields import Without
from serving.api import cli_options
from serving.api.tag_options import TagOptions
from serving.bulk.options import BulkOptions

if TYPE_CHECKING:
    from serving.bulk.manifest import Manifest


@takes_options
def bulk(
    *,
    context: typer.Context,
    options: Annotated[BulkOptions, Without("select")],
    sure: cli_options.Sure = False,
    select: Annotated[TagOptions, Without("max_labels")],
) -> None:
    """Tag many images with an export in a Beam job.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    sources, beam_args = _split_arguments(options, context.args)
    # Whoever looks for a word later wants no guesses.
    sure = sure or options.sidecars.xmp
    select = options.sidecars.asked(select)
    chosen = cli_options.chosen_tags(select, sure, options.top)
    options = replace(options, sources=sources, select=chosen)
    from beam_jobs.files.checks import check_named, check_output_folder

    # Beam and TensorFlow take seconds to import; say at once what is wrong.
    check_named(sources)
    check_output_folder(options.out)
    _check_model(options.model)
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(beam_args, option_names(context))
    from serving.bulk.bulk_tag import tag_in_bulk

    manifest = tag_in_bulk(options, beam_args)
    typer.echo(describe(manifest, options.out))


def describe(manifest: Manifest, out: str) -> str:
    """Returns a few lines on a job, for the terminal."""
    images = manifest.images
    lines = [
        f"{images['in']:,} images in = {images['out']:,} tagged + "
        f"{images['rejected']:,} rejected"
    ]
    for reason, count in manifest.rejected.items():
        letters = f"{out}/dead_letters/{reason}.jsonl"
        lines.append(f"  {count:,} x {reason}: {letters}")
    if manifest.left_out:
        lines.append(
            f"  left out, without the ending of an image: "
            f"{manifest.left_out:,} files"
        )
    model = manifest.model
    lines.append(
        f"model {model['folder']}, weights {model['model_version'] or '?'}"
    )
    lines.append(f"{len(manifest.files):,} files in {out}/tags")
    if manifest.files:
        lines.append(f"next: {_next(manifest, out)}")
    return "\n".join(lines)


def _next(manifest: Manifest, out: str) -> str:
    if manifest.options["format"] == "parquet":
        return f'pandas.read_parquet("{out}/tags")'
    return f"head -n 1 {out}/{manifest.files[0]['path']}"


def _split_arguments(
    options: BulkOptions, rest: list[str]
) -> tuple[list[str], list[str]]:
    """Returns sources and options of Beam, which come after them.

    Raises:
        InputError: they come before, or no source is named.
    """
    # An argument of several takes all that is left, Beam's options too.
    given = [options.model, *options.sources]
    start = next(
        (i for i, text in enumerate(given) if text.startswith("--")), len(given)
    )
    if start < 2:
        raise InputError(
            "MODEL and at least one SOURCE come first, options of Beam after "
            f"them; received: {' '.join(given)}"
        )
    return given[1:start], [*given[start:], *rest]


def _check_model(model: str) -> None:
    if "://" in model:
        return
    from serving.bulk.model_folders import find_version

    if not os.path.isdir(model):
        raise InputError(
            f"no such folder: {model}; `tagforest export` writes a model"
        )
    find_version(model)
