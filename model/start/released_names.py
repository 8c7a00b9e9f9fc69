"""The variables of Tencent's released checkpoints, by our names.

Their code builds the network of `model.network.resnet` with other names; see
https://github.com/Tencent/tencent-ml-images, `models/resnet.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count

from beam_jobs.errors import InputError
from model.config import NetworkConfig

Shapes = Mapping[str, tuple[int, ...]]

STEM = "init/init_conv/conv2d/kernel"
HEAD = ("logits/dense/kernel", "logits/dense/bias")
# The released graph's, and what only 1e-5 reproduces its features with: the
# paper's 1e-3 is half a percent off.
EPSILON = 1e-5
_NORMS = ("gamma", "beta", "moving_mean", "moving_variance")
# What trains and is no weight: the state of the optimizer and of the loss.
_LEFT = re.compile(r"global_step|.*/Momentum|Variable(_1)?")


def network_of(shapes: Shapes) -> NetworkConfig:
    """Returns the network that a checkpoint's variables belong to.

    Args:
        shapes: of its variables, by their names.

    Raises:
        InputError: it is no ResNet of the released code.
    """
    if STEM not in shapes or HEAD[1] not in shapes:
        raise InputError(
            f"it has no {STEM if STEM not in shapes else HEAD[1]}: this is no "
            "checkpoint of the released ResNet"
        )
    kernel, _, _, stem = shapes[STEM]
    blocks, filters = [], []
    for stage in count():
        depth = sum(_kernel(stage, j, 1) in shapes for j in range(1000))
        if not depth:
            break
        blocks.append(depth)
        filters.append(shapes[_shortcut(stage)][-1])
    bottleneck = _kernel(0, 0, 3) in shapes
    return NetworkConfig(
        block="bottleneck" if bottleneck else "basic",
        blocks=tuple(blocks),
        filters=tuple(filters),
        # Strides leave no trace in the weights: those of the released code.
        strides=(2,) * len(blocks),
        stem_filters=stem,
        stem_kernel=kernel,
        batch_norm_momentum=0.997,
        batch_norm_epsilon=EPSILON,
    )


def released_names(network: NetworkConfig) -> dict[str, str]:
    """Returns the released name of each of our backbone's weights."""
    convolutions = 3 if network.block == "bottleneck" else 2
    names = {"stem_conv/kernel": STEM}
    for stage, blocks in enumerate(network.blocks):
        for block in range(blocks):
            ours = f"stage{stage + 1}_block{block + 1}"
            theirs = f"stages_{stage}_block_{block}"
            if not block:
                names[f"{ours}_shortcut_conv/kernel"] = _shortcut(stage)
                norm = f"{theirs}/conv1_b1_bn/batch_normalization"
                names |= _norm(f"{ours}_shortcut_bn", norm)
            for k in range(1, convolutions + 1):
                names[f"{ours}_{k}_conv/kernel"] = _kernel(stage, block, k)
                norm = f"{theirs}/conv{k}_b2_bn/batch_normalization"
                names |= _norm(f"{ours}_{k}_bn", norm)
    norm = "global_pool/bn/batch_normalization"
    return names | _norm("final_bn", norm)


def unknown_names(shapes: Shapes, network: NetworkConfig) -> Iterator[str]:
    """Yields the variables that neither the network nor its training has."""
    known = {*released_names(network).values(), *HEAD}
    for name in sorted(shapes):
        if name not in known and not _LEFT.fullmatch(name):
            yield name


def _shortcut(stage: int) -> str:
    return f"stages_{stage}_block_0/conv1_b1/conv2d/kernel"


def _kernel(stage: int, block: int, position: int) -> str:
    return f"stages_{stage}_block_{block}/conv{position}_b2/conv2d/kernel"


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/{part}": f"{theirs}/{part}" for part in _NORMS}
