"""The command that draws the demo's images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    regions: Annotated[
        int,
        typer.Option(
            min=0,
            help="Instead, scenes of 12 classes with boxes and masks, and "
            "folders of single objects, a tenth as many each.",
        ),
    ] = 0,
) -> None:
    """Draw a demonstration data set of scenes (OpenMoji)."""
    from beam_jobs.files.checks import check_output_folder
    from beam_jobs.scenes.write_scenes import write_scenes

    check_output_folder(out)
    if regions:
        return _draw_regions(out, regions, image_size, seed)
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


def _draw_regions(out: Path, scenes: int, image_size: int, seed: int) -> None:
    from beam_jobs.scenes.write_scenes import write_region_scenes

    write_region_scenes(
        out,
        scenes=scenes,
        a_folder=max(scenes // 10, 2),
        image_size=image_size,
        seed=seed,
    )
    typer.echo(
        f"next: tagforest transfer detect --coco {out}/regions/"
        f"instances.json --images {out}/regions/images --from TRAINING "
        "--workdir WORKDIR"
    )
