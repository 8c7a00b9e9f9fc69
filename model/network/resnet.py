"""Pre-activation ResNet (v2) as the released code of ML-Images builds it.

He et al., "Identity Mappings in Deep Residual Networks", arXiv 1603.05027.
It is not keras.applications' ResNet101V2: no max-pool after the stem, the
stride in the first block of a stage, the projection shortcut with its own
batch normalization, no bias in any convolution, variance-scaling weights.
"""

from __future__ import annotations

import keras
from keras import layers

from model.config import NetworkConfig
from model.network.batch_norm import BatchNormalization
from model.network.conv import Conv2D
from model.network.pair_mean import PairMean


def build_backbone(
    config: NetworkConfig, image_size: int, output_stride: int | None = None
) -> keras.Model:
    """Returns the network from images to embeddings.

    Input float32 [batch, image_size, image_size, 3] in [-1, 1]; output
    float32 [batch, filters of the last stage], the average-pooled features.

    Args:
        output_stride: the largest stride of a stage's map. Stages beyond keep
            their map and dilate their 3x3 instead (atrous convolution,
            https://arxiv.org/abs/1706.05587, section 3.2): the same weights,
            and at every second (fourth) position the same features.

    Example:
        >>> config = NetworkConfig(block="basic", blocks=(1, 1),
        ...     filters=(8, 16), strides=(1, 2), stem_filters=8)
        >>> build_backbone(config, 32).output_shape
        (None, 16)
    """
    policy = config.precision
    images = keras.Input((image_size, image_size, 3), name="image")
    x = _conv(
        images,
        config.stem_filters,
        config.stem_kernel,
        config.stem_stride,
        "stem",
        policy,
    )
    x = _apply_stages(x, config, output_stride)
    # Pre-activation blocks end with a sum: the last has no activation yet.
    x = _norm_relu(x, "final", config)
    # float32: a mean over many pixels loses digits in 8 bits of mantissa.
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return keras.Model(images, x, name="backbone")


def _apply_stages(x, config: NetworkConfig, output_stride: int | None):
    stages = zip(
        config.blocks,
        config.filters,
        *_strides_and_dilations(config, output_stride),
        strict=True,
    )
    before = 1
    for stage, (blocks, filters, stride, dilation) in enumerate(stages, 1):
        for block in range(1, blocks + 1):
            x = apply_block(
                x,
                filters,
                stride if block == 1 else 1,
                project=block == 1,
                name=f"stage{stage}_block{block}",
                config=config,
                pooled=block == 1 and config.strides[stage - 1] > 1,
                # The 3x3 that had a stride sees the map of the stage before.
                dilations=(before if block == 1 else dilation, dilation),
            )
        before = dilation
    return x


def _strides_and_dilations(
    config: NetworkConfig, output_stride: int | None
) -> tuple[list[int], list[int]]:
    """Returns both of each stage."""
    reached, dilation = config.stem_stride, 1
    strides, dilations = [], []
    for stride in config.strides:
        reached *= stride
        if output_stride and reached > output_stride:
            dilation, stride = dilation * stride, 1
        strides.append(stride)
        dilations.append(dilation)
    return strides, dilations


def apply_block(
    x,
    filters: int,
    stride: int,
    *,
    project: bool,
    name: str,
    config: NetworkConfig,
    pooled: bool = False,
    dilations: tuple[int, int] = (1, 1),
):
    """Adds one residual block.

    Args:
        x: features [batch, height, width, channels].
        filters: output channels.
        stride: of the block's first 3x3 convolution.
        project: the shortcut is a strided 1x1 convolution behind its own
            normalization; else the input as it is.
        pooled: the shortcut skips no pixels, if the config says so.
        dilations: of the first 3x3 convolution, and of one behind it.

    Returns:
        [batch, height / stride, width / stride, filters].
    """
    policy = config.precision
    shortcut = x
    if project:
        shortcut, step = _norm_relu(x, f"{name}_shortcut", config), stride
        if pooled and config.shortcut == "pooled":
            shortcut = _pool(shortcut, stride, dilations[0], name, policy)
            step = 1
        shortcut = _conv(shortcut, filters, 1, step, f"{name}_shortcut", policy)
    # A bottleneck computes its 3x3 on a quarter of the channels.
    inner = filters if config.block == "basic" else filters // 4
    first, second = dilations
    kernels = [(inner, 3, stride, first), (filters, 3, 1, second)]
    if config.block == "bottleneck":
        kernels = [(inner, 1, 1, 1), kernels[0], (filters, 1, 1, 1)]
    for position, (width, kernel, step, dilation) in enumerate(kernels, 1):
        x = _norm_relu(x, f"{name}_{position}", config)
        x = _conv(
            x, width, kernel, step, f"{name}_{position}", policy, dilation
        )
    if config.squeeze:
        x = _excite(x, max(filters // config.squeeze, 1), name, policy)
    return layers.Add(name=f"{name}_add", dtype=policy)([shortcut, x])


def _excite(x, squeezed: int, name: str, policy: str):
    """Weighs each channel (https://arxiv.org/abs/1709.01507, section 3)."""
    weights = layers.GlobalAveragePooling2D(
        keepdims=True, name=f"{name}_squeeze_pool", dtype=policy
    )(x)
    widths = {"relu": squeezed, "sigmoid": x.shape[-1]}
    for position, (activation, width) in enumerate(widths.items(), 1):
        weights = layers.Dense(
            width, activation, name=f"{name}_squeeze_{position}", dtype=policy
        )(weights)
    return layers.Multiply(name=f"{name}_excite", dtype=policy)([x, weights])


def _pool(x, stride: int, dilation: int, name: str, policy: str):
    name = f"{name}_shortcut_pool"
    if stride > 1:
        # Where there is no neighbour, "same" counts none.
        return layers.AveragePooling2D(
            stride, padding="same", name=name, dtype=policy
        )(x)
    return PairMean(dilation, name=name, dtype=policy)(x)


def _norm_relu(x, name: str, config: NetworkConfig):
    x = BatchNormalization(
        momentum=config.batch_norm_momentum,
        epsilon=config.batch_norm_epsilon,
        synchronized=config.batch_norm_sync,
        name=f"{name}_bn",
        dtype=config.precision,
    )(x)
    return layers.ReLU(name=f"{name}_relu", dtype=config.precision)(x)


def _conv(
    x,
    filters: int,
    kernel: int,
    stride: int,
    name: str,
    policy: str,
    dilation: int = 1,
):
    """A convolution whose padding does not depend on the input size."""
    # "same" pads a strided convolution by the input size, odd or even: weights
    # trained at one size would look half a pixel aside at another.
    padding = "same"
    if stride > 1:
        before = (kernel - 1) // 2
        after = kernel - 1 - before
        if after:
            x = layers.ZeroPadding2D(
                ((before, after), (before, after)),
                name=f"{name}_pad",
                dtype=policy,
            )(x)
        padding = "valid"
    return Conv2D(
        filters,
        kernel,
        stride,
        padding=padding,
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(),
        name=f"{name}_conv",
        dtype=policy,
    )(x)
