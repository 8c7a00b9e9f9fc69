"""The commands `tagforest features` and `tagforest similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from model.network.options import BatchOptions


@takes_options
def features(
    workdir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    images: Annotated[Path, typer.Argument(help="Folder of images.")],
    options: BatchOptions,
    out: Annotated[
        Path, typer.Option(help="File to write: .npz or .parquet.")
    ] = Path("features.npz"),
) -> None:
    """Write the embedding of every image below a folder.

    Embeddings are the output of the last pooling layer. Images that cannot
    be read are listed in OUT.rejected.jsonl.
    """
    from beam_jobs.errors import InputError
    from model.features import feature_files

    # Before TensorFlow is imported, which takes seconds.
    feature_files.check_path(out)
    for folder, what in ((workdir, "training"), (images, "folder of images")):
        if not folder.is_dir():
            raise InputError(f"no such {what}: {folder}")
    from model.features.extract import extract

    found = extract(workdir, images, out, options)
    rejected = sum(found.rejected.values())
    typer.echo(
        f"{found.images + rejected} images in = {found.images} embeddings of "
        f"{found.width} numbers in {out} + {rejected} rejected"
    )
    if rejected:
        typer.echo(f"  {out}.rejected.jsonl: {found.rejected}")
    typer.echo(f"next: tagforest similar IMAGE --features {out}")


def similar(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    features: Annotated[
        Path, typer.Option(help="File from `tagforest features`.")
    ] = Path("features.npz"),
    count: Annotated[int, typer.Option(min=1, help="Images to find.")] = 10,
    images: Annotated[
        Path | None,
        typer.Option(help="The folder that was embedded, for --plot."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot to write, such as a.png.")
    ] = None,
) -> None:
    """Find the images most like one, by the angle between embeddings."""
    from beam_jobs.errors import InputError

    if (plot is None) != (images is None):
        raise InputError(
            "--plot needs --images, the folder that was embedded, and "
            "--images is for --plot alone"
        )
    if images is not None and not images.is_dir():
        raise InputError(f"no such folder of images: {images}")
    from model.features.similar import check_plot, draw
    from model.features.similar import similar as find

    if plot is not None:
        check_plot(plot)
    from rich.console import Console
    from rich.table import Column, Table

    found = find(image, features, count, images)
    table = Table(Column("image", overflow="fold"), "similarity")
    for neighbour in found:
        table.add_row(neighbour.path, f"{neighbour.similarity:.3f}")
    Console().print(table)
    if plot is not None and images is not None:
        draw(image, found, images, plot)
        typer.echo(f"plot: {plot}")
