"""THE feature spec of the TFRecords: written, trained on, served, checked.

A record is a `tf.train.Example`. Labels are sparse and keep their ledger, as
parallel lists sorted by class index: what rule gave the label, who made the
annotation behind it, and to which class the rule was applied.

    image/encoded      JPEG bytes; absent from a data set of labels only
    image/id           `<source>/<id>`, unique in the data set
    image/height       pixels
    image/width        pixels
    image/license      name or URL of its licence
    image/author       who made it
    image/source_url   where it was found; `image/id` may hold that too
    label/id           class indices, ascending
    label/confidence   over 0 to 1
    label/ledger       8 x source + rule
    label/parent       of each label that a rule took from another class
                       (ANCESTOR, CO_OCCURRENCE), that class, in their order
    absent/id          classes verified absent, descendants included
    object/class       class index of each object; with it
    object/box         ymin, xmin, ymax, xmax, parts of the image: 4 an object
    object/flag        0, 1 difficult, 2 a crowd
    image/mask         PNG of 8 bits: 0 background, class index + 1, 255 void
    annotation/*       annotations that a better claim hides in `label/*`;
                       with them every rule can be switched off without loss
                       of a corrected image all that is said, confidence 0
                       for absent: it is as before without its corrections

Objects and masks are there where they were asked for. Lists without a value
are left out, and so is what is not known of the origin of an image
(`image/license`, `image/author`, `image/source_url`).
"""

from __future__ import annotations

from typing import Any

IMAGE_ENCODED = "image/encoded"
IMAGE_ID = "image/id"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
IMAGE_LICENSE = "image/license"
IMAGE_AUTHOR = "image/author"
IMAGE_SOURCE_URL = "image/source_url"
ORIGIN = (IMAGE_LICENSE, IMAGE_AUTHOR, IMAGE_SOURCE_URL)
LABEL_ID = "label/id"
LABEL_CONFIDENCE = "label/confidence"
LABEL_LEDGER = "label/ledger"
LABEL_PARENT = "label/parent"
ABSENT_ID = "absent/id"
OBJECT_CLASS = "object/class"
OBJECT_BOX = "object/box"
OBJECT_FLAG = "object/flag"
IMAGE_MASK = "image/mask"
ANNOTATION_ID = "annotation/id"
ANNOTATION_CONFIDENCE = "annotation/confidence"
ANNOTATION_SOURCE = "annotation/source"


def feature_spec(*names: str) -> dict[str, Any]:
    """Returns the spec for `tf.io.parse_example`, of all features or of some.

    Scalars: `image/*`; `image/encoded` is empty in a data set of labels only.
    Ragged [values]: all others.
    """
    import tensorflow as tf

    def ragged(dtype):
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)

    spec = {
        IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string, ""),
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string, ""),
        IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64, 0),
        IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64, 0),
        **{name: tf.io.FixedLenFeature([], tf.string, "") for name in ORIGIN},
        LABEL_ID: ragged(tf.int64),
        LABEL_CONFIDENCE: ragged(tf.float32),
        LABEL_LEDGER: ragged(tf.int64),
        LABEL_PARENT: ragged(tf.int64),
        ABSENT_ID: ragged(tf.int64),
        OBJECT_CLASS: ragged(tf.int64),
        OBJECT_BOX: ragged(tf.float32),
        OBJECT_FLAG: ragged(tf.int64),
        IMAGE_MASK: tf.io.FixedLenFeature([], tf.string, ""),
        ANNOTATION_ID: ragged(tf.int64),
        ANNOTATION_CONFIDENCE: ragged(tf.float32),
        ANNOTATION_SOURCE: ragged(tf.int64),
    }
    return {name: spec[name] for name in names or spec}
