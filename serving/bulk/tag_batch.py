"""One batch of images through the model; no image fails the others."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image as PillowImage

from beam_jobs.images.check_image import ImageError, check_image
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason, Rejection
from serving.api import contract
from serving.api.tag_options import TagOptions
from serving.bulk.read_images import Image
from serving.saved_model.warmup import sample_image

# Only what the model did not take is looked at, so no side is too short.
_LIMITS = ImageLimits(
    contract.MAX_IMAGE_BYTES, contract.MAX_IMAGE_PIXELS, min_side=1
)

Outputs = dict[str, np.ndarray]


class Model(Protocol):
    """A `Servable`, or what stands for one in another process."""

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray]
    ) -> Outputs:
        """Calls a signature; strings are object arrays of bytes."""


@dataclass
class Tagged:
    """What became of some images.

    Attributes:
        images: those with an answer.
        outputs: of the signature, one row each; empty without images.
        rejections: one for each of the others.
    """

    images: list[Image] = field(default_factory=list)
    outputs: Outputs = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)


def tag_batch(
    model: Model, images: Sequence[Image], select: TagOptions | None = None
) -> Tagged:
    """Returns the answers for the images that the model can read.

    If the call fails, every image is tried alone, and only those that fail
    again are rejected.

    Args:
        images: at most the largest of `contract.BATCH_SIZES`.
        select: for the signature `select`; else `serving_default`.

    Raises:
        Exception: whatever the model raises, if it fails on every image and
            on a sound one too: then it is not the images' fault.
    """
    if not images:
        return Tagged()
    try:
        return _keep_valid(images, _run(model, images, select))
    except Exception as error:  # a model may raise anything
        logging.warning("a batch failed and is tried image by image: %s", error)
    rows: list[Outputs] = []
    tried: list[Image] = []
    rejections: list[Rejection] = []
    for image in images:
        try:
            rows.append(_run(model, [image], select))
            tried.append(image)
        except Exception as error:
            rejections.append(_reject(image, Reason.MODEL_FAILED, error))
    if not rows:
        _run(model, [Image("", "", sample_image())], select)
        return Tagged(rejections=rejections)
    outputs = {n: np.concatenate([row[n] for row in rows]) for n in rows[0]}
    tagged = _keep_valid(tried, outputs)
    tagged.rejections += rejections
    return tagged


def padded_size(images: int) -> int:
    """Returns the smallest of `contract.BATCH_SIZES` with room for them.

    Example:
        >>> padded_size(9)
        16
    """
    return next(size for size in contract.BATCH_SIZES if size >= images)


def _run(
    model: Model, images: Sequence[Image], select: TagOptions | None
) -> Outputs:
    size = padded_size(len(images))
    # Empty rows: not valid, so they cost no decoding.
    data = [image.data for image in images] + [b""] * (size - len(images))
    inputs = {contract.IMAGE_BYTES: np.array(data, object)}
    if select is not None:
        inputs |= select.arrays(size)
    name = contract.TAGS if select is None else contract.SELECT
    outputs = model.run(name, inputs)
    return {n: values[: len(images)] for n, values in outputs.items()}


def _keep_valid(images: Sequence[Image], outputs: Outputs) -> Tagged:
    valid = outputs[contract.VALID]
    rejections = [
        why_not_valid(image)
        for image, is_valid in zip(images, valid, strict=True)
        if not is_valid
    ]
    if not rejections:
        return Tagged(list(images), outputs)
    kept = [image for image, ok in zip(images, valid, strict=True) if ok]
    return Tagged(
        kept, {n: values[valid] for n, values in outputs.items()}, rejections
    )


def why_not_valid(image: Image) -> Rejection:
    """Returns why an image has `valid = false`, as far as Pillow can tell."""
    try:
        check_image(image.data, _LIMITS)
    except ImageError as error:
        return _reject(image, error.reason, error)
    with PillowImage.open(io.BytesIO(image.data)) as opened:
        kind = f"{opened.format}, {opened.mode}"
    return _reject(
        image,
        Reason.UNSUPPORTED_IMAGE,
        f"a sound image ({kind}) that the model does not read; as an RGB "
        "JPEG it would",
    )


def _reject(image: Image, reason: Reason, detail: object) -> Rejection:
    lines = str(detail).splitlines() or [type(detail).__name__]
    return Rejection(reason, image.name, lines[0][:300], image.path)
