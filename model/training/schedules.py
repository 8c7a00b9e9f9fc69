"""Learning rate by step, and by layer; and the optimizers that have it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from model.config import ScheduleConfig
from model.training.muon import Muon

_KINDS: dict[str, Any] = {
    "sgd": keras.optimizers.SGD,
    "adamw": keras.optimizers.AdamW,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
    "muon": Muon,
}
_STAGE = re.compile(r"(?:^|/)(?:stem|stage(\d+))_")


@keras.saving.register_keras_serializable(package="tagforest")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a `ScheduleConfig`.

    Warm-up multiplies by the same factor from `warmup_learning_rate` to
    `learning_rate`, in `warmup_stairs` equal parts (the paper's 0.01 and
    0.08 over 8 epochs give its factor 1.297) or at each training step.
    `step` then multiplies by `decay_factor` at every `decay_every`, counted
    from the first step (as in the released code; the paper leaves it open).
    `cosine` runs to 0 at the last step.

    Args:
        config: as a ScheduleConfig, or its fields as a dictionary.

    Example:
        >>> rate = WarmupThenDecay(ScheduleConfig(), steps_per_epoch=100)
        >>> [round(float(rate(step)), 4) for step in (0, 100, 800, 2500)]
        [0.01, 0.013, 0.08, 0.008]
    """

    def __init__(self, config: ScheduleConfig | dict, steps_per_epoch: int):
        if isinstance(config, dict):
            config = ScheduleConfig(**config)
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self._warmup = in_steps(config.warmup, config, steps_per_epoch)

    def __call__(self, step):
        config = self.config
        step = ops.cast(step, "float32")
        rate = config.learning_rate * self._decay(step)
        if config.warmup == 0:
            return rate
        done = step / self._warmup
        if config.warmup_stairs:
            stair = _floor(step, self._warmup / config.warmup_stairs)
            done = stair / config.warmup_stairs
        ratio = config.learning_rate / config.warmup_learning_rate
        # Computed after the warm-up, too: the exponent must not run away.
        done = ops.minimum(done, 1.0)
        warm = config.warmup_learning_rate * ops.exp(math.log(ratio) * done)
        return ops.where(done < 1.0, warm, rate)

    def _decay(self, step):
        config = self.config
        if config.decay == "step":
            passed = self._passed(step)
            return ops.exp(math.log(config.decay_factor) * passed)
        if config.decay == "cosine":
            total = config.epochs * self.steps_per_epoch
            # All may be warm-up.
            length = max(total - self._warmup, 1e-6)
            done = ops.clip((step - self._warmup) / length, 0.0, 1.0)
            return 0.5 * (1.0 + ops.cos(math.pi * done))
        return ops.ones_like(step)

    def _passed(self, step):
        """Returns how many decays are behind a step."""

        def steps(length):
            return in_steps(length, self.config, self.steps_per_epoch)

        if not self.config.decay_at:
            return _floor(step, steps(self.config.decay_every))
        places = [steps(place) for place in self.config.decay_at]
        # Half a step more, as `_floor`.
        return sum(ops.cast(step + 0.5 >= p, "float32") for p in places)

    def get_config(self):
        values = {k: getattr(self.config, k) for k in _FIELDS}
        return {"config": values, "steps_per_epoch": self.steps_per_epoch}


_FIELDS = tuple(ScheduleConfig.__dataclass_fields__)


def in_steps(
    length: float, config: ScheduleConfig, steps_per_epoch: int
) -> float:
    """Returns a length in the config's unit as training steps.

    Example:
        >>> in_steps(8192.0, ScheduleConfig(unit="examples"), 100)
        2.0
    """
    if config.unit == "epochs":
        return length * steps_per_epoch
    if config.unit == "examples":
        return length / config.batch_size
    return length


def _floor(step, width: float):
    # Half a step more: 299.99998 / 100 must not fall below 3.
    return ops.floor((step + 0.5) / width)


def layer_factors(paths: Sequence[str], decay: float) -> list[float]:
    """Returns what the learning rate of each variable is multiplied by.

    The head, the last stage and what normalizes it have 1, each stage below
    `decay` times that of the one above, and the stem comes below the first.

    Args:
        paths: of the variables, which have a stage's layers in them.

    Example:
        >>> names = ["stem_conv", "stage1_block1_1_conv", "stage2_block1_1_bn"]
        >>> layer_factors([f"{n}/kernel" for n in (*names, "head")], 0.5)
        [0.25, 0.5, 1.0, 1.0]
    """
    found = [_STAGE.search(path) for path in paths]
    # The stem is the stage 0.
    stages = [None if f is None else int(f[1] or 0) for f in found]
    last = max((s for s in stages if s is not None), default=0)
    return [1.0 if s is None else decay ** (last - s) for s in stages]


class _ByLayer:
    """Of an optimizer: the lower a layer, the smaller its learning rate.

    Not its decoupled weight decay.
    """

    layer_decay = 1.0

    def build(self, variables):
        super().build(variables)
        paths = [v.path for v in variables]
        self._factors = layer_factors(paths, self.layer_decay)

    def update_step(self, gradient, variable, learning_rate):
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, factor * learning_rate)


@keras.saving.register_keras_serializable(package="tagforest")
class LossScale(keras.optimizers.LossScaleOptimizer):
    """Loss scaling whose skipped steps count as steps.

    Schedule, draws and the place in the data follow `iterations`.
    """

    def _stateful_handle_non_finite_grads(self):
        super()._stateful_handle_non_finite_grads()
        self.inner_optimizer.iterations.assign_add(1)


def make_optimizer(
    config: ScheduleConfig, steps_per_epoch: int, precision: str = "float32"
) -> keras.optimizers.Optimizer:
    """Returns the optimizer with its schedule.

    The L2 weight decay of `sgd` is no part of it: it belongs to the gradient
    (see `Tagger.regularized`), so that it passes through the momentum.

    Args:
        precision: of the network; `mixed_float16` gets loss scaling.
    """
    rate = WarmupThenDecay(config, steps_per_epoch)
    kind = _KINDS[config.optimizer]
    options: dict[str, Any] = {"global_clipnorm": config.clip_norm or None}
    if config.optimizer in ("sgd", "muon"):
        options["momentum"] = config.momentum
    if config.optimizer == "muon":
        # Of few steps: a beta_2 of 0.999 forgets over a thousand.
        options["beta_2"] = 0.99
        if precision == "mixed_bfloat16":
            options["matrix_dtype"] = "bfloat16"
    if config.optimizer != "sgd":
        options["weight_decay"] = config.weight_decay
    if config.layer_decay != 1:
        # A public name: Keras makes a name scope of it, which no _ may begin.
        kind = type(f"{kind.__name__}ByLayer", (_ByLayer, kind), {})
    made = kind(rate, **options)
    if config.optimizer != "sgd":
        # Of the name: Keras' variables have no other mark of what they are.
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if config.layer_decay != 1:
        made.layer_decay = config.layer_decay
    return LossScale(made) if precision == "mixed_float16" else made
