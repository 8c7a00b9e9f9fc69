"""What a training step computes and keeps, an image, from its graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from model.network.task_model import TaskModel

# Operations of the backward pass are named so.
_BACKWARD = "gradient_tape/"


@dataclass(frozen=True)
class ImageCost:
    """Of one image in a training step; the loss itself is left out.

    Attributes:
        activation_bytes: what the backward pass needs of the forward one.
        forward_flops: floating-point operations of the forward pass, two for
            a multiplication and an addition; None where TensorFlow has no
            profiler that counts them.
        flops: of both passes.
    """

    activation_bytes: int
    forward_flops: int | None
    flops: int | None


def image_cost(tagger: TaskModel) -> ImageCost:
    """Returns what an image costs: what the second of two adds to a graph."""
    steps = [_graph(tagger, images, backward=True) for images in (1, 2)]
    forwards = [_graph(tagger, images, backward=False) for images in (1, 2)]
    bytes_of_one, bytes_of_two = map(_kept_bytes, steps)
    return ImageCost(
        activation_bytes=bytes_of_two - bytes_of_one,
        forward_flops=_added(*map(_flops, forwards)),
        flops=_added(*map(_flops, steps)),
    )


def _graph(tagger: TaskModel, images: int, *, backward: bool) -> tf.Graph:
    side = tagger.config.data.image_size

    @tf.function(autograph=False)
    def forward(pixels):
        return tagger(pixels, training=True)

    @tf.function(autograph=False)
    def step(pixels):
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(tagger(pixels, training=True))
            total = tf.add_n([tf.reduce_sum(values) for values in outputs])
        return tape.gradient(total, tagger.trainable_variables)

    spec = tf.TensorSpec([images, side, side, 3], tf.uint8)
    return (step if backward else forward).get_concrete_function(spec).graph


def _kept_bytes(graph: tf.Graph) -> int:
    """Returns the bytes that the backward pass takes from the forward one."""
    kept = {
        tensor.ref(): tensor
        for operation in graph.get_operations()
        if operation.name.startswith(_BACKWARD)
        for tensor in operation.inputs
        if not tensor.op.name.startswith(_BACKWARD)
    }
    return sum(_bytes(tensor) for tensor in kept.values())


def _bytes(tensor: tf.Tensor) -> int:
    # Resources are variables; what has no shape, a few numbers of
    # `BatchNormalization`.
    if tensor.dtype == tf.resource or tensor.shape.rank is None:
        return 0
    return math.prod(tensor.shape.as_list()) * tensor.dtype.size


def _flops(graph: tf.Graph) -> int | None:
    profiler = getattr(tf.compat.v1, "profiler", None)
    if profiler is None:
        return None
    wanted = profiler.ProfileOptionBuilder.float_operation()
    quiet = profiler.ProfileOptionBuilder(wanted).with_empty_output().build()
    logger = tf.get_logger()
    level = logger.level
    # It warns that it is of TensorFlow 1; there is no later one.
    logger.setLevel("ERROR")
    try:
        return profiler.profile(graph, options=quiet).total_float_ops
    finally:
        logger.setLevel(level)


def _added(one: int | None, two: int | None) -> int | None:
    return None if one is None or two is None else two - one
