"""The command that brings another project's weights in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_tf1(
    checkpoint: Annotated[
        str,
        typer.Argument(help="Prefix of the checkpoint, or its folder."),
    ],
    classes: Annotated[
        str,
        typer.Option(
            help="In the head's order: Tencent's dictionary, a "
            "vocabulary.tsv, or a WordNet id a line."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run, new.")],
) -> None:
    """Makes a run of a TensorFlow 1 checkpoint that Tencent released."""
    from model.start.import_tf1 import import_tf1 as import_

    folder = import_(checkpoint, classes, out)
    typer.echo(
        f"written: {folder}\n"
        f"next: tagforest evaluate {folder} DATASET\n"
        f"      tagforest export {folder} --out MODEL\n"
        f"      tagforest train DATASET --workdir WORKDIR --from {folder} "
        f"--config {folder / 'config.json'}"
    )
