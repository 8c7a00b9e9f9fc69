"""Embeddings of held-out images for TensorBoard's projector.

Files as its plugin reads them (`tensorboard.plugins.projector`):
`projector_config.pbtxt` beside the event files; vectors and metadata as
tab-separated text and a sheet of thumbnails in `projector/`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from model.config import Config
from model.monitoring.sample_cards import thumbnails, tiled
from model.monitoring.samples import Classes, Judge, Judged, held_out

FOLDER = "projector"
VECTORS, METADATA, SPRITE = "vectors.tsv", "metadata.tsv", "sprite.png"
_HEADER = ("true", "predicted", "right", "image")
# The projector takes sheets of at most 8192 pixels a side.
_SHEET, _THUMBNAIL = 8192, 64


class ProjectorBoard(keras.callbacks.Callback):
    """Embeds some held-out images when the training is over."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        dataset: str | os.PathLike[str],
        workdir: Path,
    ):
        super().__init__()
        self.folder, self.dataset, self.workdir = folder, dataset, workdir
        self.config = config

    def on_train_end(self, logs=None):
        count = self.config.logging.projector_images
        classes = Classes.load(self.workdir)
        width = len(classes.vocabulary)
        batches = held_out(self.dataset, self.config.data, width, count)
        judged = Judge(self.model).judge(batches, count)
        write_projector(self.folder, judged, classes, count)


def write_projector(
    folder: Path, judged: Iterable[Judged], classes: Classes, count: int
) -> None:
    """Writes the projector's files.

    Args:
        judged: images with embeddings.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    side = min(_THUMBNAIL, _SHEET // math.ceil(math.sqrt(count)))
    rows: list[tuple[str, ...]] = [_HEADER]
    small: list[np.ndarray] = []
    with (place / VECTORS).open("w", encoding="utf-8") as vectors:
        for batch in judged:
            np.savetxt(vectors, batch.features, fmt="%.6g", delimiter="\t")
            rows += _metadata(batch, classes)
            small += thumbnails(batch.images, side)
    text = "".join("\t".join(row) + "\n" for row in rows)
    (place / METADATA).write_text(text, encoding="utf-8")
    # The projector finds thumbnails in a square sheet, row by row.
    sheet = tiled(small, math.ceil(math.sqrt(len(small))))
    Image.fromarray(sheet).save(place / SPRITE)
    _write_config(folder, side)


def _write_config(folder: Path, side: int) -> None:
    from tensorboard.plugins import projector

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="held-out images",
        tensor_path=f"{FOLDER}/{VECTORS}",
        metadata_path=f"{FOLDER}/{METADATA}",
    )
    embedding.sprite.image_path = f"{FOLDER}/{SPRITE}"
    embedding.sprite.single_image_dim.extend([side, side])
    projector.visualize_embeddings(str(folder), config)


def _metadata(batch: Judged, classes: Classes) -> list[tuple[str, ...]]:
    """Returns rows: deepest label, best-scored leaf, whether right, id."""
    rows: list[tuple[str, ...]] = []
    for i, name in enumerate(batch.ids):
        labels = np.flatnonzero(batch.targets[i] > 0)
        true = classes.most_specific(labels)[:1]
        leaf = classes.best_leaf(batch.scores[i])
        right = "yes" if batch.targets[i, leaf] > 0 else "no"
        deepest = classes.name(true[0]) if true else "(no label)"
        rows.append((deepest, classes.name(leaf), right, name))
    return rows
