"""How a transferred network learns: recipes that others have published.

`released` is Tencent's own fine-tuning, `hyperrule` Big Transfer's rule that
needs no tuning (https://arxiv.org/abs/1912.11370), `cosine_clip` that of Big
Vision's `configs/transfer.py`; `frozen_ema` has what timm's fine-tuning offers
(https://github.com/huggingface/pytorch-image-models). `adamw` and `probe` are
ours: all layers in few epochs, and the head alone on features that are computed
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from beam_jobs.errors import InputError
from model.backbone_names import RESNET_V2
from model.config import Config, LossConfig, ScheduleConfig

# Of the released code's scripts: 4 GPUs with 64 images.
_RELEASED_BATCH, _BIT_BATCH = 256, 512
_SMALL, _MEDIUM = 20_000, 500_000
# Side of the images to judge by, in that of training: 288 of 224.
TEST_SIZES = {"frozen_ema": 9 / 7}


def apply(name: str, config: Config, images: int) -> Config:
    """Returns the config of a source with a recipe's settings.

    Args:
        name: one of `options.RECIPES`.
        config: with network, data, start and batch size.
        images: to learn of.

    Raises:
        InputError: random weights, which it would not train.
    """
    schedule, start = _RECIPES[name](config.schedule.batch_size, images)
    if config.start.source is None:
        if start.pop("cache_features", False):
            raise InputError(
                f"the recipe {name} needs something to start --from"
            )
        # Random weights have to learn.
        start.pop("freeze", None)
    frozen = tuple(
        part
        for part in start.pop("freeze", ())
        # Of a smaller network there are fewer.
        if not part.startswith("stage")
        or int(part[len("stage") :]) < len(config.network.blocks)
    )
    if config.network.backbone != RESNET_V2:
        # Its stages are not known.
        schedule.pop("layer_decay", None)
    smoothing = schedule.pop("label_smoothing", 0.0)
    schedule = {"validate_every": config.schedule.validate_every, **schedule}
    return replace(
        config,
        # What the source learned by is no part of the recipe.
        data=replace(config.data, mixup_alpha=0.0, cutmix_alpha=0.0),
        loss=LossConfig(kind="softmax", label_smoothing=smoothing),
        schedule=ScheduleConfig(
            batch_size=config.schedule.batch_size, **schedule
        ),
        start=replace(config.start, freeze=frozen, **start),
    )


def _adamw(batch_size: int, images: int) -> tuple[dict, dict]:
    schedule = {
        "optimizer": "adamw",
        "epochs": 20,
        "learning_rate": 1e-3 * math.sqrt(batch_size / 64),
        "warmup_learning_rate": 1e-5,
        "warmup": 1.0,
        "warmup_stairs": 0,
        "decay": "cosine",
        "weight_decay": 0.05,
    }
    return schedule, {"zero_head": True}


def _probe(batch_size: int, images: int) -> tuple[dict, dict]:
    schedule = {
        "optimizer": "adamw",
        "epochs": 50,
        "learning_rate": 3e-3,
        "warmup": 0.0,
        "decay": "cosine",
        "weight_decay": 0.01,
    }
    start = {
        "zero_head": True,
        "freeze": ("backbone",),
        "cache_features": True,
    }
    return schedule, start


def _released(batch_size: int, images: int) -> tuple[dict, dict]:
    schedule = {
        "optimizer": "sgd",
        "epochs": 120,
        "learning_rate": 0.1 * batch_size / _RELEASED_BATCH,
        "warmup": 0.0,
        "decay": "step",
        "decay_every": 30.0,
        "weight_decay": 1e-4,
    }
    return schedule, {"freeze": ("stem", "stage1", "stage2")}


def _hyperrule(batch_size: int, images: int) -> tuple[dict, dict]:
    if images < _SMALL:
        steps, warmup, decays = 500, 100, (200, 300, 400)
    elif images < _MEDIUM:
        steps, warmup, decays = 10_000, 500, (3000, 6000, 9000)
    else:
        steps, warmup, decays = 20_000, 500, (6000, 12_000, 18_000)
    rate = 0.003 * batch_size / _BIT_BATCH
    schedule = {
        **_in_steps(steps, warmup, rate, batch_size, images),
        "decay": "step",
        "decay_at": tuple(map(float, decays)),
    }
    return schedule, {"zero_head": True, "freeze": ("statistics",)}


def _cosine_clip(batch_size: int, images: int) -> tuple[dict, dict]:
    steps = 500 if images < _SMALL else 20_000
    schedule = {
        **_in_steps(steps, steps // 5, 0.01, batch_size, images),
        "decay": "cosine",
        "clip_norm": 1.0,
    }
    return schedule, {"zero_head": True, "freeze": ("statistics",)}


def _frozen_ema(batch_size: int, images: int) -> tuple[dict, dict]:
    schedule, start = _adamw(batch_size, images)
    schedule |= {
        "average": 0.9998,
        "layer_decay": 0.75,
        "label_smoothing": 0.1,
    }
    return schedule, start | {"freeze": ("stem", "stage1", "statistics")}


def _in_steps(
    steps: int, warmup: int, rate: float, batch_size: int, images: int
) -> dict[str, Any]:
    return {
        "optimizer": "sgd",
        "unit": "steps",
        "epochs": max(math.ceil(steps * batch_size / images), 1),
        "learning_rate": rate,
        "warmup_learning_rate": rate / warmup,
        "warmup": float(warmup),
        "warmup_stairs": 0,
        "weight_decay": 0.0,
    }


_RECIPES: Mapping[str, Callable[[int, int], tuple[dict, dict]]] = {
    "adamw": _adamw,
    "probe": _probe,
    "released": _released,
    "hyperrule": _hyperrule,
    "cosine_clip": _cosine_clip,
    "frozen_ema": _frozen_ema,
}
