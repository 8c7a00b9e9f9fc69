"""The sections of a training config; `model.config` puts them together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from beam_jobs.errors import InputError
from model.config_checks import (
    check_choice,
    check_types,
    need_positive,
    need_probability,
    need_range,
)

UNKNOWN_POLICIES = ("negative", "ignore")
BLOCKS = ("basic", "bottleneck")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
COEFFICIENTS = ("paper", "released", "none")
REDUCTIONS = ("mean", "sum")
OPTIMIZERS = ("sgd", "adamw")
DECAYS = ("step", "cosine", "constant")

# Stage depths of He et al., https://arxiv.org/abs/1603.05027.
RESNET_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class DataConfig:
    """Images and labels as the network sees them (paper, section 3.2).

    Attributes:
        image_size: side of the square input, pixels.
        crop_fraction: evaluation and serving keep this central part of the
            short side; 0.875 is 224 of 256.
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
        min_confidence: labels below it are no positives: unknown.
        unknown: what a class is that an image has neither as label nor as
            verified absent: `negative`, or `ignore`d by the loss.
        shuffle_buffer: serialized records held for shuffling.
    """

    image_size: int = 224
    crop_fraction: float = 0.875
    crop_area: tuple[float, float] = (0.5, 1.0)
    crop_aspect: tuple[float, float] = (0.75, 4 / 3)
    flip_probability: float = 0.5
    rotation_probability: float = 0.25
    rotation_degrees: float = 45.0
    colour_probability: float = 0.5
    brightness: float = 32 / 255
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 0.2
    contrast: tuple[float, float] = (0.5, 1.5)
    min_confidence: float = 0.0
    unknown: str = "negative"
    shuffle_buffer: int = 65536

    def __post_init__(self):
        check_types(self)
        need_range(self, "image_size", 8, 4096)
        need_range(self, "crop_fraction", 0.05, 1.0)
        for name in ("crop_area", "crop_aspect", "saturation", "contrast"):
            _need_ascending(self, name)
        need_range(self, "crop_area", 1e-3, 1.0)
        for name in ("flip", "rotation", "colour"):
            need_probability(self, f"{name}_probability")
        need_range(self, "rotation_degrees", 0.0, 180.0)
        need_range(self, "hue", 0.0, 0.5)
        need_range(self, "brightness", 0.0, 1.0)
        need_probability(self, "min_confidence")
        check_choice(self, "unknown", UNKNOWN_POLICIES)
        need_positive(self, "shuffle_buffer")


@dataclass(frozen=True)
class NetworkConfig:
    """A pre-activation ResNet (v2).

    Attributes:
        block: `basic` (two 3x3) or `bottleneck` (1x1, 3x3, 1x1).
        blocks: residual blocks in each stage.
        filters: output channels of each stage.
        strides: stride of the first block of each stage.
        stem_filters, stem_kernel, stem_stride: the first convolution.
        batch_norm_momentum, batch_norm_epsilon: the paper's 0.9 and 1e-3.
        batch_norm_sync: statistics over all replicas, so that several equal
            one; else each replica has its own and only the moving averages
            are shared, as usual.
        dropout: rate before the head.
        precision: Keras dtype policy; logits and loss stay float32.
    """

    block: str = "bottleneck"
    blocks: tuple[int, ...] = RESNET_BLOCKS[101]
    filters: tuple[int, ...] = (256, 512, 1024, 2048)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    stem_filters: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-3
    batch_norm_sync: bool = False
    dropout: float = 0.0
    precision: str = "float32"

    def __post_init__(self):
        check_types(self)
        check_choice(self, "block", BLOCKS)
        check_choice(self, "precision", PRECISIONS)
        for name in ("blocks", "filters", "strides"):
            need_positive(self, name)
        for name in ("stem_filters", "stem_kernel", "stem_stride"):
            need_positive(self, name)
        need_positive(self, "batch_norm_epsilon")
        need_range(self, "batch_norm_momentum", 0.0, 1.0)
        need_range(self, "dropout", 0.0, 0.95)
        lengths = {len(self.blocks), len(self.filters), len(self.strides)}
        if len(lengths) != 1 or not self.blocks:
            raise InputError(
                "network.blocks, .filters and .strides need one value a "
                f"stage; received: blocks={self.blocks}, "
                f"filters={self.filters}, strides={self.strides}"
            )
        if self.block == "bottleneck" and any(f % 4 for f in self.filters):
            raise InputError(
                "network.filters of bottleneck blocks are multiples of 4; "
                f"received: {self.filters}"
            )


@dataclass(frozen=True)
class LossConfig:
    """Adaptive weighted cross-entropy (paper, section 3.1; released code).

    Attributes:
        coefficient: how a class's weight follows its runs of batches with
            and without a positive: `paper` (decay^(t-1)), `released`
            (logarithms, see `model.losses`), `none` (1).
        positive_weight: eta, weight of the positives; 1 switches it off.
        decay: the paper's 0.9.
        floor: least value of the paper's r. With 0 (the paper) a class that
            every batch contains stops learning: 0.9^100 is 3e-5.
        positive_floor, negative_floor: least `released` coefficients.
        positive_offset, negative_offset: added to the run lengths in them.
        absent_probability: a class without a positive in the batch is
            updated with this probability.
        negative_ratio: negatives kept for each positive of a class in the
            batch; 0 keeps all.
        reduction: over the classes; always the mean over images.
    """

    coefficient: str = "paper"
    positive_weight: float = 12.0
    decay: float = 0.9
    floor: float = 0.0
    positive_floor: float = 0.01
    negative_floor: float = 0.001
    positive_offset: float = 0.01
    negative_offset: float = 8.0
    absent_probability: float = 0.1
    negative_ratio: float = 5.0
    reduction: str = "mean"

    def __post_init__(self):
        check_types(self)
        check_choice(self, "coefficient", COEFFICIENTS)
        check_choice(self, "reduction", REDUCTIONS)
        for name in ("positive_weight", "positive_offset", "negative_offset"):
            need_positive(self, name)
        for name in ("decay", "floor", "absent_probability"):
            need_probability(self, name)
        for name in ("positive_floor", "negative_floor"):
            need_probability(self, name)
        need_range(self, "negative_ratio", 0.0, 1e9)

    @classmethod
    def released(cls, **changes: Any) -> LossConfig:
        """The loss as Tencent's released train.py computes it."""
        preset = cls(
            coefficient="released", negative_ratio=0.0, reduction="sum"
        )
        return dataclasses.replace(preset, **changes)

    @classmethod
    def cross_entropy(cls, **changes: Any) -> LossConfig:
        """Plain binary cross-entropy summed over the classes."""
        preset = cls(
            coefficient="none",
            positive_weight=1.0,
            absent_probability=1.0,
            negative_ratio=0.0,
            reduction="sum",
        )
        return dataclasses.replace(preset, **changes)


@dataclass(frozen=True)
class ScheduleConfig:
    """How long and how fast (paper, section 3.3).

    Attributes:
        batch_size: images a step over all workers.
        epochs: passes over the training split; rests below a batch are
            left out, other ones each epoch.
        optimizer: `sgd` with momentum, or `adamw`.
        learning_rate: after the warm-up.
        warmup_learning_rate, warmup_epochs: where the warm-up starts and
            how long it lasts; it multiplies by the same factor each epoch
            (decay `step`: the paper's 1.297) or each step (else).
        decay: `step`, `cosine` to 0, or `constant`.
        decay_epochs, decay_factor: of `step`, counted from the first epoch.
        momentum: of `sgd`.
        weight_decay: L2 on the kernels and the head's bias with `sgd`, as
            the paper; decoupled and on kernels only with `adamw`. Never on
            batch normalization.
        clip_norm: largest norm of the whole gradient; 0 is off.
    """

    batch_size: int = 4096
    epochs: int = 60
    optimizer: str = "sgd"
    learning_rate: float = 0.08
    warmup_learning_rate: float = 0.01
    warmup_epochs: float = 8.0
    decay: str = "step"
    decay_epochs: float = 25.0
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 0.0

    def __post_init__(self):
        check_types(self)
        check_choice(self, "optimizer", OPTIMIZERS)
        check_choice(self, "decay", DECAYS)
        for name in ("batch_size", "epochs", "learning_rate"):
            need_positive(self, name)
        for name in ("warmup_learning_rate", "decay_epochs", "decay_factor"):
            need_positive(self, name)
        for name in ("warmup_epochs", "weight_decay", "clip_norm"):
            need_range(self, name, 0.0, 1e9)
        need_range(self, "momentum", 0.0, 1.0)


def _need_ascending(config: DataConfig, name: str) -> None:
    low_high = getattr(config, name)
    if len(low_high) != 2 or not 0 < low_high[0] <= low_high[1]:
        raise InputError(
            f"data.{name} is (least, largest), both above 0; "
            f"received: {low_high}"
        )
