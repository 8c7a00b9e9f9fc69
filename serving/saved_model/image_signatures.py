"""What the signatures of all tasks share: decoding, versions, embedding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from beam_jobs.dataset import records
from model.inputs import preprocessing
from serving.api import contract
from serving.saved_model.decoding import ImageLimits, check_limits, decode_rows
from serving.saved_model.exportable import Exportable
from serving.saved_model.image_headers import first_frame
from serving.saved_model.servable import Servable

Outputs = dict[str, tf.Tensor]
Endpoints = dict[str, tuple[Callable[..., Outputs], Any]]

IMAGES = tf.TensorSpec([None], tf.string, contract.IMAGE_BYTES)
EXAMPLES = tf.TensorSpec([None], tf.string, contract.EXAMPLES)


class ImageSignatures(ABC):
    """The functions behind the signatures of a SavedModel.

    Args:
        model: what they compute with.
        limits: what is decoded at all.
        specs: `tf.TensorSpec` of what `preprocess` returns.

    Attributes:
        model: as it was given.
    """

    def __init__(
        self, model: Exportable, limits: ImageLimits | None, specs: Any
    ):
        self.model = model
        self._limits = limits or ImageLimits()
        self._specs = specs
        # Traced once for all signatures: it is most of what an export traces.
        self._decode = tf.function(
            self._decode_image, [tf.TensorSpec([], tf.string)]
        )

    @abstractmethod
    def endpoints(self) -> Endpoints:
        """Returns signature name -> (function, input signature)."""

    @abstractmethod
    def preprocess(self, encoded: tf.Tensor) -> Any:
        """Makes of an image file's bytes what `decode_rows` returns of it."""

    @abstractmethod
    def difference(self, servable: Servable, images: list[bytes]) -> float:
        """Returns how far its answers are from the model's, `tolerance`'s way.

        Infinite where it finds an image not valid.

        Args:
            servable: made of these signatures.
            images: files.
        """

    def embedding(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> float32 [N, D] and valid [N]."""
        decoded, valid = self._decode_rows(image_bytes, self._decode)
        images = tf.nest.flatten(decoded)[0]
        vectors = unless_empty(self.model.embed, images)
        return {
            contract.EMBEDDING_VALUES: clear_invalid(vectors, valid),
            contract.VALID: valid,
        }

    def _versions(self, rows) -> Outputs:
        # A row each: batching cuts every output by rows.
        model = self.model
        return {
            contract.MODEL_VERSION: tf.fill([rows], model.weights_version),
            contract.VOCABULARY_VERSION: tf.fill(
                [rows], model.vocabulary.fingerprint
            ),
        }

    def _decode_rows(self, encoded, decode) -> tuple[Any, tf.Tensor]:
        return decode_rows(encoded, decode, self._specs)

    def _decode_image(self, encoded: tf.Tensor) -> Any:
        checks = [check_limits(encoded, self._limits)]
        # Nothing is unpacked before its header is within the limits.
        with tf.control_dependencies(checks):
            return self.preprocess(first_frame(encoded))

    def _decode_example(self, example: tf.Tensor) -> Any:
        spec = {records.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        parsed = tf.io.parse_single_example(example, spec)
        return self._decode(parsed[records.IMAGE_ENCODED])


class WholeImageSignatures(ImageSignatures):
    """Of tasks that see all of an image and answer in its own pixels.

    Args:
        resize: uint8 [height, width, 3] -> float32 [S, S, 3].
    """

    def __init__(
        self,
        model: Exportable,
        limits: ImageLimits | None,
        resize: Callable[[tf.Tensor], tf.Tensor],
    ):
        side = model.image_size
        pixels = tf.TensorSpec([side, side, 3], tf.float32)
        super().__init__(model, limits, (pixels, tf.TensorSpec([2], tf.int32)))
        self._resize = resize

    def preprocess(self, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns pixels float32 [S, S, 3], and height and width as sent."""
        image = preprocessing.decode(encoded)
        return self._resize(image), tf.shape(image)[:2]


def unless_empty(network: Callable[[tf.Tensor], Any], images: tf.Tensor) -> Any:
    """Returns the network's rows [N, ...]; an empty batch is not run.

    oneDNN's kernels fail on no rows ("Matrix size-incompatible: In[0]: [0,3]"),
    and in the graph TensorFlow Serving is spared it, too.
    """
    made: list[Any] = []

    def run():
        made.append(network(images))
        return made[0]

    def nothing():
        # Traced after `run`, whose shapes and types it takes.
        return tf.nest.map_structure(
            lambda t: tf.zeros([0, *(d or 0 for d in t.shape[1:])], t.dtype),
            made[0],
        )

    return tf.cond(tf.shape(images)[0] > 0, run, nothing)


def clear_invalid(rows: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Returns rows [N, D] as float32, zero where they are not valid."""
    rows = tf.cast(rows, tf.float32)
    return tf.where(valid[:, tf.newaxis], rows, 0.0)
