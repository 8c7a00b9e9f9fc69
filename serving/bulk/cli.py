"""`tagforest bulk`; heavy imports wait until it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.cli_options import PASS_TO_BEAM, option_names
from beam_jobs.errors import InputError
from serving.api import cli_options

if TYPE_CHECKING:
    from serving.bulk.manifest import Manifest

_Model = Annotated[
    str, typer.Argument(help="What `tagforest export` wrote, local or gs://.")
]
_Sources = Annotated[
    list[str],
    typer.Argument(
        help="Folders, patterns, image files, tars, TFRecords, data sets."
    ),
]
_Out = Annotated[
    str, typer.Option(help="Folder of the answers, local or gs://...")
]
_Format = Annotated[str, typer.Option(help="parquet or jsonl.")]
_Top = Annotated[
    int | None,
    cli_options.in_panel(
        cli_options.TAGS, "Tags an image; default: all exported."
    ),
]
_BatchSize = Annotated[int, typer.Option(help="Images a call.")]
_ImagesPerFile = Annotated[
    int, typer.Option(help="Rows of a file, the work of one worker.")
]
_ShareModel = Annotated[
    bool,
    typer.Option("--share-model", help="One copy for all processes: for GPUs."),
]
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace other answers.")
]


def register(app: typer.Typer) -> None:
    """Adds `bulk` to the root command."""
    app.command("bulk", context_settings=PASS_TO_BEAM)(bulk)


def bulk(
    context: typer.Context,
    model: _Model,
    sources: _Sources,
    out: _Out,
    format: _Format = "parquet",
    top: _Top = None,
    sure: cli_options.Sure = False,
    min_confidence: cli_options.MinConfidence = None,
    most_specific: cli_options.MostSpecific = False,
    include: cli_options.Include = None,
    exclude: cli_options.Exclude = None,
    batch_size: _BatchSize = 32,
    images_per_file: _ImagesPerFile = 1024,
    share_model: _ShareModel = False,
    overwrite: _Overwrite = False,
) -> None:
    """Tag many images with an export in a Beam job.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    given, beam_args = _split_arguments(model, sources, context.args)
    from serving.bulk.options import BulkOptions

    options = BulkOptions(
        model=model,
        sources=given,
        out=out,
        format=format,
        top=top,
        select=cli_options.tag_options(
            top, sure, min_confidence, most_specific, include, exclude
        ),
        batch_size=batch_size,
        images_per_file=images_per_file,
        share_model=share_model,
        overwrite=overwrite,
    )
    from beam_jobs.files.checks import check_named, check_output_folder

    # Beam and TensorFlow take seconds to import; say at once what is wrong.
    check_named(given)
    check_output_folder(out)
    _check_model(model)
    from beam_jobs.runners.beam_options import check_beam_args

    check_beam_args(beam_args, option_names(context))
    from serving.bulk.bulk_tag import tag_in_bulk

    manifest = tag_in_bulk(options, beam_args)
    typer.echo(describe(manifest, out))


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
    model: str, given: list[str], rest: list[str]
) -> tuple[list[str], list[str]]:
    """Returns sources and options of Beam, which come after them.

    Raises:
        InputError: they come before, or no source is named.
    """
    start = next(
        (i for i, text in enumerate(given) if text.startswith("--")), len(given)
    )
    if model.startswith("--") or not start:
        raise InputError(
            "MODEL and at least one SOURCE come first, options of Beam after "
            f"them; received: {' '.join([model, *given])}"
        )
    return given[:start], [*given[start:], *rest]


def _check_model(model: str) -> None:
    if "://" in model:
        return
    from serving.bulk.model_folders import find_version

    if not os.path.isdir(model):
        raise InputError(
            f"no such folder: {model}; `tagforest export` writes a model"
        )
    find_version(model)
