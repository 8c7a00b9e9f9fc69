"""The sections of a training config; `model.config` puts them together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Limits
from model.backbone_names import APPLICATIONS, KERAS_HUB, RESNET_V2
from model.config_checks import Section
from model.loss_kinds import LOSS_KINDS, PARAMETERS, SOFTMAX, LossSwitches

TAGS, DETECTION, SEGMENTATION = TASKS = ("tags", "detection", "segmentation")
BLOCKS = ("basic", "bottleneck")
SHORTCUTS = ("strided", "pooled")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
REDUCTIONS = ("mean", "sum")
OPTIMIZERS = ("sgd", "adamw", "lamb", "lion", "muon")
DECAYS = ("step", "cosine", "constant")
JIT_PARTS = ("auto", "none", "loss", "network")
UNITS = ("epochs", "examples", "steps")
TAKEN = ("all", "backbone")
STAGES = tuple(f"stage{i}" for i in range(1, 10))
FROZEN = ("backbone", "old_classes", "statistics", "stem", *STAGES)
# Of the validation split, and whether more of it is better.
BEST_FIGURES = {
    "loss": False,
    "precision_at_5": True,
    "recall_at_5": True,
    "f1_at_5": True,
    "top_1": True,
    "top_5": True,
    "mean_iou": True,
}
OF_SOFTMAX = ("top_1", "top_5")
OF_MASKS = ("mean_iou",)

_POSITIVE = Limits(over=0)
_PROBABILITY = Limits(min=0, max=1)

# Stage depths of He et al., https://arxiv.org/abs/1603.05027.
RESNET_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class NetworkConfig(Section):
    """A pre-activation ResNet (v2), or a network of Keras or KerasHub.

    Attributes:
        block: `basic` (two 3x3) or `bottleneck` (1x1, 3x3, 1x1).
        blocks: residual blocks in each stage.
        filters: output channels of each stage.
        strides: stride of the first block of each stage.
        shortcut: of blocks with a stride: `strided`, the paper's 1x1
            convolution of every second pixel; `pooled`, behind the mean of
            2x2 (https://arxiv.org/abs/1812.01187, ResNet-D).
        squeeze: how many times fewer channels the squeeze-and-excitation at
            a block's end has (https://arxiv.org/abs/1709.01507); 0 is none.
        stem_filters, stem_kernel, stem_stride: the first convolution.
        batch_norm_momentum, batch_norm_epsilon: the paper's 0.9 and 1e-3.
        batch_norm_sync: statistics over all replicas, so that several equal
            one; else each replica has its own and only the moving averages
            are shared, as usual.
        dropout: rate before the head.
        mirrored: answers of tags are those of the mean embedding of an image
            and its mirror image, in validation, evaluation and serving
            alike; twice their work, and nothing in training.
        precision: Keras dtype policy; logits and loss stay float32.
        backbone: `resnet_v2`, or a name of keras.applications, `ResNet50V2`,
            or `keras_hub`; to the latter only `dropout`, `mirrored` and
            `precision` apply of the others.
        preset: of `keras_hub`: which backbone it is and what pixels it
            wants, as JSON; taken from what the training starts from.
    """

    block: Annotated[str, Limits(choices=BLOCKS)] = "bottleneck"
    blocks: Annotated[tuple[int, ...], _POSITIVE] = RESNET_BLOCKS[101]
    filters: Annotated[tuple[int, ...], _POSITIVE] = (256, 512, 1024, 2048)
    strides: Annotated[tuple[int, ...], _POSITIVE] = (2, 2, 2, 2)
    shortcut: Annotated[str, Limits(choices=SHORTCUTS)] = "strided"
    squeeze: Annotated[int, Limits(min=0)] = 0
    stem_filters: Annotated[int, _POSITIVE] = 64
    stem_kernel: Annotated[int, _POSITIVE] = 7
    stem_stride: Annotated[int, _POSITIVE] = 2
    batch_norm_momentum: Annotated[float, _PROBABILITY] = 0.9
    batch_norm_epsilon: Annotated[float, _POSITIVE] = 1e-3
    batch_norm_sync: bool = False
    dropout: Annotated[float, Limits(min=0, max=0.95)] = 0.0
    mirrored: bool = False
    precision: Annotated[str, Limits(choices=PRECISIONS)] = "float32"
    backbone: Annotated[
        str, Limits(choices=(RESNET_V2, KERAS_HUB, *APPLICATIONS))
    ] = RESNET_V2
    preset: str = ""

    def __post_init__(self):
        super().__post_init__()
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
        if self.shortcut == "pooled" and max(self.strides) > 2:
            self.refuse("shortcut", "strided where a stride is above 2")
        if self.preset and self.backbone != KERAS_HUB:
            self.refuse("preset", f"left out without backbone {KERAS_HUB}")


# The numbers of all kinds of loss, as fields.
_LossParameters: Any = dataclasses.make_dataclass(
    "_LossParameters",
    [(p.name, Annotated[float, p.limits], p.default) for p in PARAMETERS],
    frozen=True,
    bases=(Section,),
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
            all class coefficients 1; `softmax`: each image has one class.
        positive_weight, absent_probability, negative_ratio, reduction: see
            `LossSwitches`; None is the kind's own.
        leaf_weight: of a softmax over the classes without a child, added to
            the loss of a training; 0 leaves it out.
    """

    kind: Annotated[str, Limits(choices=(*LOSS_KINDS, SOFTMAX))] = "paper"
    positive_weight: Annotated[float | None, _POSITIVE] = None
    absent_probability: Annotated[float | None, _PROBABILITY] = None
    negative_ratio: Annotated[float | None, Limits(min=0, max=1e9)] = None
    reduction: Annotated[str | None, Limits(choices=REDUCTIONS)] = None
    leaf_weight: Annotated[float, Limits(min=0, max=1e6)] = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.kind == SOFTMAX:
            for name in self._given:
                self.refuse(name, "None with the kind softmax")
            if self.leaf_weight:
                self.refuse("leaf_weight", "0 with the kind softmax")

    @property
    def switches(self) -> LossSwitches:
        """The switches, those left None filled in by the kind."""
        return dataclasses.replace(
            LOSS_KINDS[self.kind].switches, **self._given
        )

    @property
    def _given(self) -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(LossSwitches)]
        values = {name: getattr(self, name) for name in names}
        return {k: v for k, v in values.items() if v is not None}


@dataclass(frozen=True)
class HeadConfig(Section):
    """What is made of the backbone's features.

    Attributes:
        task: `tags`: a logit a class; `detection`: boxes with a class each;
            `segmentation`: a class for each pixel.
        filters: channels of the layers of detection and segmentation.
        boxes: of detection: at most so many an image, in training the true
            ones, in answers the found ones.
    """

    task: Annotated[str, Limits(choices=TASKS)] = TAGS
    filters: Annotated[int, Limits(min=8, max=4096)] = 64
    boxes: Annotated[int, Limits(min=1, max=1000)] = 100

    def __post_init__(self):
        super().__post_init__()
        if self.filters % 8:
            self.refuse("filters", "a multiple of 8")


@dataclass(frozen=True)
class ScheduleConfig(Section):
    """How long and how fast (paper, section 3.3).

    Attributes:
        batch_size: images a step over all workers.
        accumulation_steps: parts that a replica's images are put through
            the network in, one after the other, to save memory; the step is
            that of the whole batch (see `model.network.accumulation`).
        pack_bytes: of gradients that workers sum up at once, while those of
            earlier layers are still computed (not with accumulation_steps);
            0: all together, at the end. More than two workers add up in
            another order with another size: the last bits differ.
        epochs: passes over the training split; rests below a batch are
            left out, other ones each epoch.
        optimizer: `sgd` with momentum, `adamw`, `lamb` (for large batches),
            `lion` (a third of AdamW's rate), or `muon` for hidden kernels and
            AdamW at a tenth of the rate for the rest (see
            `model.training.muon`).
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
        decay_at: of `step`: where, instead of at each `decay_every`.
        momentum: of `sgd` and `muon`.
        weight_decay: L2 on all kernels and the head's bias with `sgd`, as
            the paper; else decoupled (times the learning rate, with `muon`
            also where AdamW learns) and on kernels only. Never on batch
            normalization.
        clip_norm: largest norm of the whole gradient; 0 is off.
        average: momentum of an average of the weights over the steps, which
            validation, the final weights and the export have; 0 is off. See
            `model.network.weight_average`.
        layer_decay: with each stage below the last, and from the first one
            to the stem, the learning rate is multiplied by it; 1 is off.
        validate_every: epochs between two looks at the validation split,
            the last epoch included: its mean loss and P, R and F1 at 5; 0
            is off.
        best: figure of the validation split by which the final weights are
            those of the best look, the first of equal ones: `f1_at_5`,
            `precision_at_5`, `recall_at_5` or `loss`; with the loss softmax
            `top_1`, `top_5` or `loss`. None: the last ones.
        stop_after: looks in a row without a better one after which the
            training ends; 0 is off.
        steps_per_execution: training steps in one call from Python: fewer
            calls for small networks, rarer callbacks.
        jit_compile: what XLA compiles of a step: `none`, the `loss`, or the
            `network` and its gradients with it, which is slower on CPUs
            (0.5 times) and impossible with `network.batch_norm_sync` on
            several replicas. `auto`: the loss, of tags from 1,024 classes on,
            of masks always.
    """

    batch_size: Annotated[int, _POSITIVE] = 4096
    accumulation_steps: Annotated[int, _POSITIVE] = 1
    pack_bytes: Annotated[int, Limits(min=0, max=10**12)] = 25_000_000
    epochs: Annotated[int, _POSITIVE] = 60
    optimizer: Annotated[str, Limits(choices=OPTIMIZERS)] = "sgd"
    learning_rate: Annotated[float, _POSITIVE] = 0.08
    unit: Annotated[str, Limits(choices=UNITS)] = "epochs"
    warmup_learning_rate: Annotated[float, _POSITIVE] = 0.01
    warmup: Annotated[float, Limits(min=0, max=1e12)] = 8.0
    warmup_stairs: Annotated[int, Limits(min=0, max=10**9)] = 8
    decay: Annotated[str, Limits(choices=DECAYS)] = "step"
    decay_every: Annotated[float, _POSITIVE] = 25.0
    decay_factor: Annotated[float, _POSITIVE] = 0.1
    decay_at: Annotated[tuple[float, ...], _POSITIVE] = ()
    momentum: Annotated[float, _PROBABILITY] = 0.9
    weight_decay: Annotated[float, Limits(min=0, max=1e12)] = 1e-4
    clip_norm: Annotated[float, Limits(min=0, max=1e12)] = 0.0
    average: Annotated[float, Limits(min=0, under=1)] = 0.0
    layer_decay: Annotated[float, Limits(over=0, max=1)] = 1.0
    validate_every: Annotated[int, Limits(min=0, max=10**9)] = 0
    best: Annotated[str | None, Limits(choices=tuple(BEST_FIGURES))] = None
    stop_after: Annotated[int, Limits(min=0, max=10**9)] = 0
    steps_per_execution: Annotated[int, _POSITIVE] = 1
    jit_compile: Annotated[str, Limits(choices=JIT_PARTS)] = "auto"

    def __post_init__(self):
        super().__post_init__()
        if self.batch_size % self.accumulation_steps:
            raise InputError(
                "schedule.batch_size must be a multiple of "
                f"schedule.accumulation_steps ({self.accumulation_steps}); "
                f"received: {self.batch_size}"
            )
        if self.stop_after and not self.best:
            self.refuse("stop_after", "0, or schedule.best a figure")
        if self.decay_at and self.decay != "step":
            self.refuse("decay_at", "empty without decay step")
        if self.best and not self.validate_every:
            self.refuse("best", "None, or schedule.validate_every over 0")


@dataclass(frozen=True)
class StartConfig(Section):
    """What a training starts from; by default, from random weights.

    Attributes:
        source: a training's working directory, an export, or a TensorFlow 1
            checkpoint as Tencent released (see `model.start.sources`).
        take: `all`: the backbone, and of the head the classes that both
            have; or the `backbone` alone.
        freeze: what does not train: the `backbone`, or of it the `stem` and
            stages (`stage1`), all with their statistics; the `statistics`,
            which is all of batch normalization; the head's columns of
            `old_classes`, which the source has.
        zero_head: the head begins at 0 instead of at random.
        cache_features: a frozen backbone's features of each image are
            computed once, without augmentation, and the head learns of them.
    """

    source: str | None = None
    take: Annotated[str, Limits(choices=TAKEN)] = "all"
    freeze: Annotated[tuple[str, ...], Limits(choices=FROZEN)] = ()
    zero_head: bool = False
    cache_features: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.freeze and self.source is None:
            self.refuse("freeze", "empty without start.source")
        if "old_classes" in self.freeze and self.take != "all":
            self.refuse("freeze", "without old_classes where take is backbone")
        if self.cache_features and "backbone" not in self.freeze:
            self.refuse("cache_features", "False without a frozen backbone")
