"""A tagger as one graph: pixels -> calibrated, tree-closed probabilities."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from beam_jobs.errors import InputError
from model.inputs import preprocessing
from serving.formats.closure import highest_below, plan
from serving.formats.kinds import PLAIN
from serving.saved_model.exportable import Exportable, ExportableTagger
from serving.saved_model.served_classes import ServedClasses

INPUT, OUTPUT = "pixels", "probabilities"
# Ops below this name give the answers; they stay float32 at every precision.
ANSWERS = "answers"


def check_tagger(model: Exportable) -> ExportableTagger:
    """Returns a model that other formats can hold.

    Raises:
        InputError: a detector or a segmenter.
    """
    if not isinstance(model, ExportableTagger):
        raise InputError(
            "--format takes taggers and classifiers; detectors and "
            "segmenters are exported as SavedModel alone"
        )
    return model


def pixel_spec(tagger: ExportableTagger, layout: str) -> tf.TensorSpec:
    """Returns what a layout's graph takes, [N, S, S, 3]."""
    side = tagger.image_size
    dtype = tf.uint8 if layout == PLAIN else tf.float32
    return tf.TensorSpec([None, side, side, 3], dtype, INPUT)


def graph(tagger: ExportableTagger, layout: str) -> Callable:
    """Returns the function that is converted.

    Args:
        layout: `plain`: uint8 RGB; `wd`: float32 BGR, 0 to 255.

    Returns:
        A `tf.function` of pixels [N, S, S, 3] -> float32 [N, classes].
    """
    compared = plan(tagger.hierarchy)
    classes = ServedClasses(
        tagger.vocabulary, tagger.hierarchy, tagger.tagging, tagger.one_class
    )

    def probabilities(pixels):
        if layout != PLAIN:
            pixels = tf.reverse(pixels, [-1])
        logits = tagger.logits(preprocessing.scale(pixels))
        with tf.name_scope(ANSWERS):
            if classes.calibrated:
                logits = highest_below(logits, compared)
            own = classes.own_probabilities(logits)
            if not tagger.one_class:
                own = highest_below(own, compared)
            return {OUTPUT: tf.identity(own, OUTPUT)}

    return tf.function(probabilities, [pixel_spec(tagger, layout)])


def reference(tagger: ExportableTagger) -> Callable:
    """Returns what the SavedModel computes of an image, once it is decoded.

    Returns:
        A `tf.function` of float32 [N, S, S, 3] in [-1, 1] -> float32
        [N, classes].
    """
    classes = ServedClasses(
        tagger.vocabulary, tagger.hierarchy, tagger.tagging, tagger.one_class
    )
    side = tagger.image_size
    return tf.function(
        lambda images: classes.probabilities(tagger.logits(images)),
        [tf.TensorSpec([None, side, side, 3], tf.float32)],
    )
