"""Commands of the data's way: `tagforest scenes`, `tagforest dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_PASS_TO_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}


ImageNetFolders = Annotated[
    list[Path] | None,
    typer.Option(help="Folder with <wnid>.tar files or <wnid>/ folders."),
]
OpenImagesFolders = Annotated[
    list[Path] | None,
    typer.Option(help="Folder with Open Images CSVs and images/."),
]
VocabularyFile = Annotated[
    Path | None,
    typer.Option(
        help="Published dictionary or vocabulary.tsv. Default: built from "
        "the annotated classes and their WordNet ancestors."
    ),
]
Splits = Annotated[
    str, typer.Option(help="Fractions of train, validation, calibration.")
]
DEFAULT_SPLITS = "train=0.9,validation=0.1"


def register(app: typer.Typer) -> None:
    """Adds the commands to an app."""
    app.command("dataset", context_settings=_PASS_TO_BEAM)(dataset)
    app.command("scenes")(scenes)


def dataset(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the data set.")],
    imagenet: ImageNetFolders = None,
    open_images: OpenImagesFolders = None,
    vocabulary: VocabularyFile = None,
    min_images: Annotated[
        int, typer.Option(help="Least images of a class, when built.")
    ] = 1,
    min_confidence: Annotated[
        float, typer.Option(help="Least confidence of a positive label.")
    ] = 0.7,
    splits: Splits = DEFAULT_SPLITS,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
    images_per_shard: Annotated[
        int, typer.Option(help="Images in a shard, about.")
    ] = 4096,
    overwrite: Annotated[
        bool, typer.Option(help="Replace another data set in OUT.")
    ] = False,
) -> None:
    """Build TFRecords with augmented labels from raw annotations.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.checks import check_output_folder, check_sources

    imagenet_folders = tuple(str(folder) for folder in imagenet or ())
    open_images_folders = tuple(str(folder) for folder in open_images or ())
    # Beam takes seconds to import; say at once if nothing can be read.
    check_sources(imagenet_folders, open_images_folders)
    check_output_folder(out)
    from beam_jobs.build_dataset import DatasetOptions, build_dataset
    from beam_jobs.splits import parse_fractions

    options = DatasetOptions(
        out=str(out),
        imagenet=imagenet_folders,
        open_images=open_images_folders,
        vocabulary=str(vocabulary) if vocabulary else None,
        min_images=min_images,
        min_confidence=min_confidence,
        splits=parse_fractions(splits),
        seed=seed,
        images_per_shard=images_per_shard,
        overwrite=overwrite,
    )
    manifest = build_dataset(options, context.args)
    typer.echo(describe(manifest, out))
    typer.echo(f"next: tagforest train {out} --workdir runs/first")


def describe(manifest, out: Path) -> str:
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
    for reason, count in manifest.rejected.items():
        letters = out / "dead_letters" / f"{reason}.jsonl"
        lines.append(f"  {count} x {reason}: {letters}")
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
