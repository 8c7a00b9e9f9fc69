"""The sidecars of a batch of a bulk job."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from beam_jobs.classes import load_classes
from beam_jobs.rejections import Reason, Rejection
from serving.api.prediction import Prediction, Tag
from serving.bulk.model_folders import local_version
from serving.bulk.options import BulkOptions
from serving.bulk.read_images import Image
from serving.bulk.tag_batch import Tagged
from serving.bulk.tag_files import predictions
from serving.sidecars.words import words
from serving.sidecars.write import write_sidecar
from serving.sidecars.xmp import SidecarError


def write_sidecars(
    tagged: Tagged, version: str, options: BulkOptions
) -> Tagged:
    """Writes the tags of a batch beside its images.

    Args:
        version: folder of the model, with its classes.
        options: which tags, and how sidecars are named.

    Returns:
        The same without images whose sidecars were left as they are; those
        are rejected.
    """
    if not tagged.images:
        return tagged
    told = predictions(tagged.outputs, options.top)
    rejections = [
        _write(image, found, version, options)
        for image, found in zip(tagged.images, told, strict=True)
    ]
    kept = np.array([rejection is None for rejection in rejections])
    return Tagged(
        [i for i, ok in zip(tagged.images, kept, strict=True) if ok],
        {name: values[kept] for name, values in tagged.outputs.items()},
        [*tagged.rejections, *(r for r in rejections if r is not None)],
    )


def _write(
    image: Image, found: Prediction, version: str, options: BulkOptions
) -> Rejection | None:
    tags = [t for t in found.tags if t.is_tag or options.select is not None]
    versions = found.model_version, found.vocabulary_version
    told = words(tags, _classes(version).get)
    try:
        write_sidecar(Path(image.path), told, versions, options.sidecars)
    except SidecarError as error:
        detail = str(error)[:300]
        return Rejection(Reason.BAD_SIDECAR, image.name, detail, image.path)
    return None


@functools.cache
def _classes(version: str) -> Mapping[str, Tag]:
    folder = local_version(version) / "assets"
    vocabulary, hierarchy = load_classes.load_folder(folder)
    ids = [c.wnid for c in vocabulary]
    return {
        c.wnid: Tag(
            c.display_name, c.wnid, 0.0, parents=tuple(ids[p] for p in parents)
        )
        for c, parents in zip(vocabulary, hierarchy.parents, strict=True)
    }
