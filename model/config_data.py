"""The section of a training config that says what the network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Limits
from model.config_checks import Section

READINGS = ("auto", "records", "blocks")
FRAMINGS = ("square", "whole")
UNKNOWN_POLICIES = ("negative", "ignore", "ignore_unless_related")

_POSITIVE = Limits(over=0)
_PROBABILITY = Limits(min=0, max=1)


@dataclass(frozen=True)
class DataConfig(Section):
    """Images and labels as the network sees them (paper, section 3.2).

    Attributes:
        image_size: side of the square input, pixels.
        crop_fraction: evaluation and serving keep this central part of the
            short side; 0.875 is 224 of 256.
        framing: what of an image evaluation and serving see: the central
            `square`, or the `whole` of it, whatever its shape, resized to
            the square input.
        crop_area: least and largest part of the image area that a training
            crop covers; (1, 1) switches cropping off.
        crop_aspect: least and largest width / height of a training crop.
        flip_probability: of a left-right flip.
        rotation_probability, rotation_degrees: of a rotation, and its
            largest angle to either side.
        colour_probability: of changing brightness, saturation, hue and
            contrast together.
        brightness, saturation, hue, contrast: largest brightness and hue
            shift, and least and largest factors. The paper gives no values;
            these are the released code's.
        erase_probability: of painting a rectangle of the image grey (random
            erasing, https://arxiv.org/abs/1708.04896, algorithm 1).
        erase_area: least and largest part of the image that it covers.
        mixup_alpha, cutmix_alpha: of Beta(alpha, alpha), from which the share
            of an image in a mixture of two is drawn (`model.network.
            image_mixing`); 0 is off. With both, half of each.
        mix_probability: of a batch to be mixed.
        min_confidence: labels below it are no positives: unknown.
        unknown: what a class is that an image has neither as label nor as
            verified absent: `negative` (as the paper's loss), `ignore`d by
            the loss, or `ignore_unless_related`: negative only where a
            sibling is a label (see `model.inputs.targets`).
        reading: `records` reads each by itself, in an order without a
            pattern; `blocks` reads neighbours together, for object stores
            and disks that turn. `auto`: blocks where the data set lies on
            an object store. See `model.inputs.record_order`.
        streams: of `blocks`, at most: each batch takes as many records of
            each. As many workers at least should share them out.
        block_bytes: of `blocks`: a request.
        shuffle_bytes: of `blocks`: records that are shuffled together, in
            all streams of all workers; twice as many are held.
        read_ahead: requests under way at once in each worker.
        skip_damaged: share of an epoch's records that may be damaged: the
            next ones are taken instead. Each worker applies it to its part.
    """

    image_size: Annotated[int, Limits(min=8, max=4096)] = 224
    crop_fraction: Annotated[float, Limits(min=0.05, max=1)] = 0.875
    framing: Annotated[str, Limits(choices=FRAMINGS)] = "square"
    crop_area: Annotated[tuple[float, float], Limits(min=1e-3, max=1)] = (
        0.5,
        1.0,
    )
    crop_aspect: tuple[float, float] = (0.75, 4 / 3)
    flip_probability: Annotated[float, _PROBABILITY] = 0.5
    rotation_probability: Annotated[float, _PROBABILITY] = 0.25
    rotation_degrees: Annotated[float, Limits(min=0, max=180)] = 45.0
    colour_probability: Annotated[float, _PROBABILITY] = 0.5
    brightness: Annotated[float, _PROBABILITY] = 32 / 255
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: Annotated[float, Limits(min=0, max=0.5)] = 0.2
    contrast: tuple[float, float] = (0.5, 1.5)
    erase_probability: Annotated[float, _PROBABILITY] = 0.0
    erase_area: Annotated[tuple[float, float], Limits(min=1e-3, max=1)] = (
        0.02,
        0.33,
    )
    mixup_alpha: Annotated[float, Limits(min=0, max=100)] = 0.0
    cutmix_alpha: Annotated[float, Limits(min=0, max=100)] = 0.0
    mix_probability: Annotated[float, _PROBABILITY] = 1.0
    min_confidence: Annotated[float, _PROBABILITY] = 0.0
    unknown: Annotated[str, Limits(choices=UNKNOWN_POLICIES)] = "negative"
    reading: Annotated[str, Limits(choices=READINGS)] = "auto"
    streams: Annotated[int, Limits(min=1, max=65536)] = 128
    block_bytes: Annotated[int, _POSITIVE] = 4 << 20
    shuffle_bytes: Annotated[int, _POSITIVE] = 2 << 30
    read_ahead: Annotated[int, Limits(min=1, max=1024)] = 8
    skip_damaged: Annotated[float, _PROBABILITY] = 0.0

    def __post_init__(self):
        super().__post_init__()
        pairs = ("crop_area", "crop_aspect", "saturation", "contrast")
        for name in (*pairs, "erase_area"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                self.refuse(name, "(least, largest), both over 0")

    @property
    def mixes(self) -> bool:
        """Whether a training mixes images."""
        alphas = self.mixup_alpha or self.cutmix_alpha
        return bool(alphas and self.mix_probability)
