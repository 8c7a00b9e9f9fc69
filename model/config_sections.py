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
from model.loss_kinds import LOSS_KINDS, PARAMETERS, LossSwitches

UNKNOWN_POLICIES = ("negative", "ignore", "ignore_unless_related")
BLOCKS = ("basic", "bottleneck")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
REDUCTIONS = ("mean", "sum")
OPTIMIZERS = ("sgd", "adamw")
DECAYS = ("step", "cosine", "constant")
JIT_PARTS = ("auto", "none", "loss", "network")
UNITS = ("epochs", "examples", "steps")

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
            verified absent: `negative` (as the paper's loss), `ignore`d by
            the loss, or `ignore_unless_related`: negative only where a
            sibling is a label (see `model.inputs.targets`).
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


# The numbers of all kinds of loss, as fields.
_LossParameters: Any = dataclasses.make_dataclass(
    "_LossParameters",
    [(p.name, "float", p.default) for p in PARAMETERS],
    frozen=True,
)


@dataclass(frozen=True)
class LossConfig(_LossParameters):
    """Which loss (paper, section 3.1), and its numbers.

    The numbers of all kinds are fields, too: see the rows of
    `model.loss_kinds`.

    Attributes:
        kind: `paper`: weighted cross-entropy with the adaptive class
            coefficient r; `released`: the same with the coefficients of the
            released code; for comparison `bce`, `focal` and `asymmetric`,
            all class coefficients 1.
        positive_weight, absent_probability, negative_ratio, reduction: see
            `LossSwitches`; None is the kind's own.
    """

    kind: str = "paper"
    positive_weight: float | None = None
    absent_probability: float | None = None
    negative_ratio: float | None = None
    reduction: str | None = None

    def __post_init__(self):
        check_types(self)
        check_choice(self, "kind", LOSS_KINDS)
        if self.reduction is not None:
            check_choice(self, "reduction", REDUCTIONS)
        need_positive(self, "positive_weight")
        need_probability(self, "absent_probability")
        need_range(self, "negative_ratio", 0.0, 1e9)
        for parameter in PARAMETERS:
            parameter.check(self, parameter.name)

    @property
    def switches(self) -> LossSwitches:
        """The switches, those left None filled in by the kind."""
        names = [f.name for f in dataclasses.fields(LossSwitches)]
        given = {name: getattr(self, name) for name in names}
        given = {k: v for k, v in given.items() if v is not None}
        return dataclasses.replace(LOSS_KINDS[self.kind].switches, **given)


@dataclass(frozen=True)
class ScheduleConfig:
    """How long and how fast (paper, section 3.3).

    Attributes:
        batch_size: images a step over all workers.
        accumulation_steps: parts that a replica's images are put through
            the network in, one after the other, to save memory; the step is
            that of the whole batch (see `model.network.accumulation`).
        epochs: passes over the training split; rests below a batch are
            left out, other ones each epoch.
        optimizer: `sgd` with momentum, or `adamw`.
        learning_rate: after the warm-up.
        unit: what `warmup` and `decay_every` count: `epochs`, `examples`
            or `steps`.
        warmup_learning_rate, warmup: where the warm-up starts and how long
            it lasts; 0 is none.
        warmup_stairs: equal parts of the warm-up with one learning rate
            each, multiplied by the same factor from part to part: the
            paper's 8 parts of an epoch have the factor 1.297. 0: each step.
        decay: `step`, `cosine` to 0, or `constant`.
        decay_every, decay_factor: of `step`, counted from the first step.
        momentum: of `sgd`.
        weight_decay: L2 on all kernels and the head's bias with `sgd`, as
            the paper; decoupled and on kernels only with `adamw`. Never on
            batch normalization.
        clip_norm: largest norm of the whole gradient; 0 is off.
        validate_every: epochs between two looks at the validation split,
            the last epoch included: its mean loss and P, R and F1 at 5; 0
            is off.
        steps_per_execution: training steps in one call from Python: fewer
            calls for small networks, rarer callbacks.
        jit_compile: what XLA compiles of a step: `none`, the `loss`, or the
            `network` and its gradients with it, which is slower on CPUs
            (0.5 times) and impossible with `network.batch_norm_sync` on
            several replicas. `auto`: the loss, from 1,024 classes on.
    """

    batch_size: int = 4096
    accumulation_steps: int = 1
    epochs: int = 60
    optimizer: str = "sgd"
    learning_rate: float = 0.08
    unit: str = "epochs"
    warmup_learning_rate: float = 0.01
    warmup: float = 8.0
    warmup_stairs: int = 8
    decay: str = "step"
    decay_every: float = 25.0
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 0.0
    validate_every: int = 0
    steps_per_execution: int = 1
    jit_compile: str = "auto"

    def __post_init__(self):
        check_types(self)
        check_choice(self, "optimizer", OPTIMIZERS)
        check_choice(self, "decay", DECAYS)
        check_choice(self, "unit", UNITS)
        for name in ("batch_size", "epochs", "learning_rate"):
            need_positive(self, name)
        for name in ("warmup_learning_rate", "decay_every", "decay_factor"):
            need_positive(self, name)
        for name in ("warmup", "weight_decay", "clip_norm"):
            need_range(self, name, 0.0, 1e12)
        need_range(self, "warmup_stairs", 0, 10**9)
        need_range(self, "momentum", 0.0, 1.0)
        need_range(self, "validate_every", 0, 10**9)
        check_choice(self, "jit_compile", JIT_PARTS)
        for name in ("accumulation_steps", "steps_per_execution"):
            need_positive(self, name)
        if self.batch_size % self.accumulation_steps:
            raise InputError(
                "schedule.batch_size must be a multiple of "
                f"schedule.accumulation_steps ({self.accumulation_steps}); "
                f"received: {self.batch_size}"
            )


@dataclass(frozen=True)
class CheckpointConfig:
    """When a training saves all that it needs to go on.

    It does so after every epoch and when it is asked to stop; these add to
    that. They change nothing in the result: a training may go on with other
    ones.

    Attributes:
        every_steps: training steps from one to the next; 0 is off.
        every_seconds: likewise, in time; 0 is off.
        keep: the newest that stay.
    """

    every_steps: int = 0
    every_seconds: float = 600.0
    keep: int = 2

    def __post_init__(self):
        check_types(self)
        need_range(self, "every_steps", 0, 10**9)
        need_range(self, "every_seconds", 0.0, 1e9)
        need_range(self, "keep", 1, 10**6)


def _need_ascending(config: DataConfig, name: str) -> None:
    low_high = getattr(config, name)
    if len(low_high) != 2 or not 0 < low_high[0] <= low_high[1]:
        raise InputError(
            f"data.{name} is (least, largest), both above 0; "
            f"received: {low_high}"
        )


@dataclass(frozen=True)
class LoggingConfig:
    """What a training writes for TensorBoard; no weight depends on it.

    Attributes:
        every: steps between two points of a curve. Reading a value makes
            the host wait for the device.
        histograms_every: steps between histograms of the class state, with
            one more after each epoch; 0 writes none.
        metric_images: held-out images that P, R and F1 at 5 and 10 are
            computed on after each epoch; 0 is none.
        images: held-out images shown with their tags after each epoch; 0
            is none.
        projector_images: held-out images embedded for the projector at the
            end; 0 is none.
        input_wait: times the delivery of the data.
        hyperparameters: writes the config for the table of several runs.
    """

    every: int = 10
    histograms_every: int = 100
    metric_images: int = 256
    images: int = 8
    projector_images: int = 256
    input_wait: bool = True
    hyperparameters: bool = True

    def __post_init__(self):
        check_types(self)
        need_positive(self, "every")
        need_range(self, "histograms_every", 0, 10**9)
        need_range(self, "metric_images", 0, 10**6)
        need_range(self, "images", 0, 64)
        # The browser draws every one of them.
        need_range(self, "projector_images", 0, 10**4)
