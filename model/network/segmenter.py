"""Images to a class for each pixel: backbone, decoder, loss.

The decoder is like DeepLabV3+'s (https://arxiv.org/abs/1802.02611), but small:
the last map, at stride 16, is brought to few channels, looked at with several
dilations and with its mean, resized to the map at stride 4, joined with that,
and convolved twice. Group normalization
(https://arxiv.org/abs/1803.08494) computes the same in training and inference,
however small the batch: decoders whose batch normalization learns from few
images look trained and are not.

The backbone's own batch normalization stays as `start.freeze` says. In small
batches it has the same trouble: freeze `statistics`, or `backbone`.
"""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from beam_jobs.errors import InputError
from beam_jobs.images.regions import VOID
from model.config import Config, NetworkConfig
from model.inputs import preprocessing
from model.losses import segmentation_loss
from model.network import replicas
from model.network.distributed_model import compiled
from model.network.resnet import build_backbone
from model.network.task_model import TaskModel

# DeepLabV3+'s best trade: a last map of 8 costs four times as much.
OUTPUT_STRIDE = 16
LOW_STRIDE = 4
# DeepLab's 6, 12 and 18 on the map of 33 that its crops of 513 pixels have.
# As parts of the side, or on small maps only the kernels' middles would count.
_DILATIONS = (6 / 33, 12 / 33, 18 / 33)
_GROUPS = 8
# Of the valid pixels of PASCAL VOC 2012, about: 0.72 of 62 images of it.
_BACKGROUND = 0.73


@keras.saving.register_keras_serializable(package="tagforest")
class Segmenter(TaskModel):
    """Images to logits of each pixel's class.

    Input float32 [batch, size, size, 3] in [-1, 1] or uint8, output float32
    [batch, h, w, classes + 1], channel 0 the background. h and w are those of
    the last map with a stride of at most 4, or of the first stage: at the
    usual strides size / 4, rounded up. `mask_of` makes masks of them.

    Args:
        config: a Config, or its JSON text.
        classes: size of the vocabulary, without the background.

    Raises:
        InputError: more classes than a mask's uint8 has ids.
    """

    def __init__(self, config: Config | str, classes: int, **kwargs):
        super().__init__(config, classes, **kwargs)
        if classes >= VOID:
            raise InputError(
                f"segmentation has at most {VOID - 1} classes, masks being of "
                f"8 bits; received: {classes}"
            )
        maps = _low_and_last(self.backbone, self.config.network)
        # A method, no model: Keras would save what it shares twice.
        self._maps = maps.__call__
        low, last = maps.outputs
        self.head = _decoder(low, last, classes + 1, self.config)
        self._pixel_losses = segmentation_loss.resized_losses
        if self.config.schedule.jit_compile in ("auto", "loss"):
            # Half the time on a CPU; not of the resizing, which is no faster.
            self._pixel_losses = compiled(self._pixel_losses)
        self.mean_iou = keras.metrics.MeanIoU(
            classes + 1, ignore_class=VOID, sparse_y_pred=False, name="mean_iou"
        )
        self.built = True

    def make_backbone(self, config):
        size = config.data.image_size
        return build_backbone(config.network, size, OUTPUT_STRIDE)

    def call(self, images, training=False):
        images = preprocessing.network_input(images)
        maps = self._maps(images, training=training)
        return self.head(maps, training=training)

    @property
    def metrics(self):
        return [self.loss_mean, self.mean_iou]

    def set_prior(self, counts: np.ndarray, images: int) -> None:
        """Lets the untrained head predict about each id's share of pixels.

        The background has what it has in PASCAL VOC, the classes the rest by
        their images; a class that no image has is taken to be in half a one.

        Args:
            counts: [classes], images with each class, of `images`.
        """
        found = np.maximum(counts, 0.5)
        shares = (1 - _BACKGROUND) * found / found.sum()
        bias = np.log([_BACKGROUND, *shares]).astype(np.float32)
        self.head.get_layer("logits").bias.assign(bias)

    def plan_step(self, data):
        """Returns the valid pixels of an image, and images and masks.

        The mean is over the global batch, the same on all replicas.
        """
        images, masks = data
        valid = tf.reduce_mean(segmentation_loss.valid_pixels(masks))
        mean = replicas.average_over_replicas([], tf.reshape(valid, [1]))
        return mean[0], (images, masks)

    def step_loss(self, plan, images, masks):
        logits = self(images, training=True)
        return segmentation_loss.segmentation_loss(
            masks, logits, plan, self._pixel_losses
        )

    def update_metrics(self, data):
        """One batch (images, masks[, weights]) of an evaluation.

        Weights, float [batch], are 0 for images that only fill a batch. Loss
        and mean IoU are over all valid pixels, at the network's size.
        """
        images, masks, weights = (*data, None)[:3]
        if weights is not None:
            masks = tf.where(weights[:, None, None] > 0, masks, np.uint8(VOID))
        logits = self(images, training=False)
        valid = segmentation_loss.valid_pixels(masks)
        losses = segmentation_loss.pixel_losses(masks, logits)
        mean = tf.math.divide_no_nan(losses, valid)
        # Parts of an image: sums of pixels outgrow the digits of float32.
        share = valid / math.prod(masks.shape[1:])
        self.loss_mean.update_state(mean, sample_weight=share)
        logits = tf.image.resize(logits, masks.shape[1:])
        self.mean_iou.update_state(masks, logits)


def mask_of(logits, height, width):
    """Returns the ids of an image's pixels, uint8 [height, width].

    TensorFlow ops alone, for an exported graph.

    Args:
        logits: float32 [h, w, classes + 1] of one image.
        height, width: of the image itself, ints or scalar tensors.
    """
    resized = tf.image.resize(logits, tf.stack([height, width]))
    return tf.cast(tf.argmax(resized, axis=-1), tf.uint8)


def _low_and_last(backbone: keras.Model, config: NetworkConfig) -> keras.Model:
    """Returns a network of the backbone's layers, to two of its maps.

    The last map at stride 4, or the finest coarser one, and the last of all;
    each behind the next block's normalization, since a stage ends in a sum.
    """
    strides = config.stem_stride * np.cumprod(config.strides)
    fine = max(int(np.sum(strides <= LOW_STRIDE)), 1)
    names = [f"stage{s}_block1_1_relu" for s in range(2, len(strides) + 1)]
    names.append("final_relu")
    # The last stage's own only if it is the only one.
    low = names[min(fine, max(len(strides) - 1, 1)) - 1]
    outputs = [backbone.get_layer(n).output for n in (low, "final_relu")]
    return keras.Model(backbone.input, outputs, name="maps")


def _decoder(low, last, ids: int, config: Config) -> keras.Model:
    """Returns the network from the two maps to float32 logits."""
    filters, policy = config.head.filters, config.network.precision
    low = keras.Input(low.shape[1:], name="low_map")
    last = keras.Input(last.shape[1:], name="last_map")
    inputs = [low, last]
    height, width = low.shape[1:3]

    def joined(parts, name):
        return layers.Concatenate(name=name, dtype=policy)(parts)

    def unit(x, filters, kernel, name, dilation=1):
        return _conv_norm_relu(x, filters, kernel, name, policy, dilation)

    context = unit(last, filters, 1, "context_in")
    parts = [context]
    for place, share in enumerate(_DILATIONS, start=1):
        dilation = max(round(share * context.shape[1]), 1)
        parts.append(unit(context, filters, 3, f"context_{place}", dilation))
    parts.append(_image_mean(context, policy))
    context = unit(joined(parts, "context"), filters, 1, "context_out")
    context = layers.Resizing(height, width, name="resize", dtype=policy)(
        context
    )
    x = joined([context, unit(low, filters // 2, 1, "low")], "join")
    for place in (1, 2):
        x = unit(x, filters, 3, f"decoder_{place}")
    rate = config.network.dropout
    x = layers.Dropout(rate, seed=config.seed, name="dropout")(x)
    kernel = "zeros" if config.start.zero_head else "glorot_uniform"
    # float32 whatever the network's precision, as the tagger's.
    x = layers.Conv2D(
        ids, 1, kernel_initializer=kernel, dtype="float32", name="logits"
    )(x)
    return keras.Model(inputs, x, name="head")


def _image_mean(context, policy: str):
    """Returns a map of the same size with its mean at each position."""
    height, width, filters = context.shape[1:]
    x = layers.GlobalAveragePooling2D(
        keepdims=True, name="mean_pool", dtype=policy
    )(context)
    # Without a normalization: one position has no spread to divide by.
    x = layers.Conv2D(
        filters,
        1,
        activation="relu",
        kernel_initializer="he_normal",
        name="mean_conv",
        dtype=policy,
    )(x)
    return layers.UpSampling2D((height, width), name="mean", dtype=policy)(x)


def _conv_norm_relu(x, filters, kernel, name, policy, dilation):
    x = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
        dtype=policy,
    )(x)
    groups = math.gcd(filters, _GROUPS)
    x = layers.GroupNormalization(groups, name=f"{name}_norm", dtype=policy)(x)
    return layers.ReLU(name=f"{name}_relu", dtype=policy)(x)
