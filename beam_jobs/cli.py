"""Commands of the data's way: from URLs and annotations to TFRecords."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from beam_jobs import cli_vocabulary
from beam_jobs.cli_cooccurrence import cooccurrence
from beam_jobs.cli_download import download
from beam_jobs.cli_options import (
    PASS_TO_BEAM,
    dataset_options,
    option_names,
    source_paths,
    takes_dataset_options,
)
from beam_jobs.cli_relabel import relabel


def register(app: typer.Typer) -> None:
    """Adds the commands to an app."""
    for command in (download, dataset, cooccurrence, relabel):
        app.command(context_settings=PASS_TO_BEAM)(command)
    cli_vocabulary.register(app)
    app.command()(scenes)


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
    from beam_jobs.checks import check_output_folder, check_sources

    # Beam takes seconds to import; say at once if nothing can be read.
    check_sources(vars(source_paths(given)))
    check_output_folder(out)
    from beam_jobs.beam_args import check_beam_args
    from beam_jobs.build_dataset import build_dataset

    check_beam_args(context.args, option_names(dataset))
    manifest = build_dataset(dataset_options(given, out), context.args)
    typer.echo(describe(manifest, out))
    typer.echo(f"next: tagforest train {out} --workdir runs/first")


_MOVED = {
    "moved_by_class_cap": "validation image left to train by "
    "--validation-per-class",
    "moved_by_total_cap": "validation image left to train by --validation-max",
    "moved_as_near_duplicates": "image put beside its near-duplicate",
}


def describe(manifest, out: str | Path) -> str:
    """Returns a few lines on a data set, for the terminal."""
    counts = ", ".join(
        f"{split['images']} {name}"
        for name, split in sorted(manifest.splits.items())
    )
    images = manifest.images
    lines = [
        f"{images['in']} images in = {images['out']} out ({counts}) "
        f"+ {images['rejected']} rejected",
        f"{manifest.classes['count']} classes; data set in {out}",
    ]
    for how, count in manifest.moved.items():
        if count:
            lines.append(f"  {count} x {_MOVED[how]}")
    for reason, count in manifest.rejected.items():
        letters = f"{out}/dead_letters/{reason}.jsonl"
        lines.append(f"  {count} x {reason}: {letters}")
    lines.append(f"what it holds: {out}/statistics/index.html")
    return "\n".join(lines)


def scenes(
    out: Annotated[Path, typer.Argument(help="Folder of the raw data set.")],
    images_per_class: Annotated[
        int, typer.Option(help="ImageNet-style images of every class.")
    ] = 20,
    scenes: Annotated[
        int, typer.Option(help="Open Images-style scenes.")
    ] = 2000,
    image_size: Annotated[int, typer.Option(help="Side, pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of all drawing.")] = 0,
) -> None:
    """Draw a demonstration data set of picture scenes (OpenMoji)."""
    from beam_jobs.checks import check_output_folder
    from beam_jobs.scenes.write_scenes import write_scenes

    check_output_folder(out)
    counts = write_scenes(
        out,
        imagenet_images_per_class=images_per_class,
        open_images=scenes,
        image_size=image_size,
        seed=seed,
    )
    typer.echo(
        f"{counts.imagenet_images} images of one of {counts.classes} classes "
        f"and {counts.open_images} scenes in {out}"
    )
    typer.echo(
        f"next: tagforest dataset --imagenet {out}/imagenet "
        f"--open-images {out}/open_images --out DATASET"
    )
