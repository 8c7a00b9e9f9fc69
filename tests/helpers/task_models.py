"""A detector and a segmenter whose answers a hand can compute.

No training: a box is where the image's left half is bright, and a pixel's class
follows from its colour. The computation is TensorFlow's, as of a real one.
"""

from __future__ import annotations

from functools import partial

import keras
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from model.network.task_model import TaskModel
from serving.saved_model.exportable import (
    ExportableDetector,
    ExportableSegmenter,
)

SIDE = 16
NAMES = ("dog, domestic dog", "cat, true cat")
WNIDS = ("n02084071", "n02121620")
BOXES = 3


class Detector(keras.Model):
    """Answers two boxes of three: the left half a dog, the lower one a cat.

    Their scores are how red and how green the image is, 0 to 1.
    """

    def __init__(self):
        super().__init__()
        self.sides = self.add_weight(
            name="sides", shape=(BOXES, 4), initializer="zeros"
        )
        halves = [[0, 0, 1, 0.5], [0.5, 0, 1, 1], [0, 0, 0, 0]]
        self.sides.assign(halves)

    def detect(self, images):
        """float32 [B, S, S, 3] -> boxes, scores, classes, best first."""
        rows = tf.shape(images)[0]
        means = (tf.reduce_mean(images, axis=(1, 2)) + 1) / 2
        scores = tf.pad(means[:, :2], [[0, 0], [0, 1]])
        order = tf.argsort(scores, direction="DESCENDING", stable=True)
        boxes = tf.tile(tf.convert_to_tensor(self.sides)[None], [rows, 1, 1])
        classes = tf.tile(tf.constant([[0, 1, -1]]), [rows, 1])
        pick = partial(tf.gather, indices=order, batch_dims=1)
        return pick(boxes), pick(scores), pick(classes)

    def embed(self, images):
        """float32 [B, S, S, 3] -> [B, 3]."""
        return tf.reduce_mean(images, axis=(1, 2))


class Segmenter(keras.Model):
    """A pixel is a dog where it is red, a cat where green, else background."""

    def __init__(self):
        super().__init__()
        self.bias = self.add_weight(
            name="bias", shape=(3,), initializer="zeros"
        )

    def call(self, images, training=False):
        """float32 [B, S, S, 3] -> logits [B, S/4, S/4, 3]."""
        small = tf.nn.avg_pool2d(images, 4, 4, "VALID")
        zero = tf.zeros_like(small[..., :1])
        return tf.concat([zero, small[..., :2]], axis=-1) + self.bias

    def embed(self, images):
        """float32 [B, S, S, 3] -> [B, 3]."""
        return tf.reduce_mean(images, axis=(1, 2)) + self.bias


def mask_of(logits, height, width):
    """Logits [h, w, C] -> uint8 [height, width] of ids."""
    resized = tf.image.resize(logits, tf.stack([height, width]))
    return tf.cast(tf.argmax(resized, axis=-1), tf.uint8)


def resize(image):
    """uint8 [height, width, 3] -> float32 [SIDE, SIDE, 3] in [-1, 1]."""
    resized = tf.image.resize(image, [SIDE, SIDE], antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0) * (2.0 / 255.0) - 1.0


def classes() -> dict:
    """Returns the vocabulary and the hierarchy, by name."""
    rows = zip(WNIDS, NAMES, strict=True)
    vocabulary = Vocabulary(TagClass(i, w, n) for i, (w, n) in enumerate(rows))
    return {"vocabulary": vocabulary, "hierarchy": Hierarchy([(), ()])}


def detector() -> ExportableDetector:
    """Returns the detector, to be exported."""
    model = Detector()
    return ExportableDetector(
        detect=model.detect,
        embed=model.embed,
        resize=resize,
        image_size=SIDE,
        weights_version="d1",
        **classes(),
    )


def segmenter() -> ExportableSegmenter:
    """Returns the segmenter, to be exported."""
    model = Segmenter()
    return ExportableSegmenter(
        logits=partial(model, training=False),
        embed=model.embed,
        mask_of=mask_of,
        resize=resize,
        image_size=SIDE,
        weights_version="s1",
        **classes(),
    )


@keras.saving.register_keras_serializable(package="tests")
class TrainedModel(TaskModel):
    """What `make_model` may return: a backbone, and a head of some logits.

    As a detector it answers one box, the upper half, with the highest of the
    head's probabilities; as a segmenter, one class for the whole image.
    """

    def __init__(self, config, classes, **kwargs):
        super().__init__(config, classes, **kwargs)
        self.head = keras.layers.Dense(classes + 1, name="head")
        self.head.build(self.backbone.output_shape)
        self.built = True

    def call(self, images, training=False):
        logits = self.head(self.backbone(images, training=training))
        return logits[:, tf.newaxis, tf.newaxis]

    def detect(self, images):
        """float32 [B, S, S, 3] -> boxes, scores, classes, best first."""
        scores = tf.nn.softmax(self(images)[:, 0, :, :-1])
        boxes = tf.tile([[[0.0, 0.0, 0.5, 1.0]]], [tf.shape(images)[0], 1, 1])
        classes = tf.argmax(scores, axis=-1, output_type=tf.int32)
        return boxes, tf.reduce_max(scores, axis=-1), classes
