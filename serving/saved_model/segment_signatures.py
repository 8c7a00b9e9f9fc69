"""The graph that is served of a segmenter: image bytes -> masks."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from serving.api import contract
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.exportable import ExportableSegmenter
from serving.saved_model.image_signatures import (
    EXAMPLES,
    IMAGES,
    Endpoints,
    Outputs,
    WholeImageSignatures,
    clear_invalid,
    unless_empty,
)
from serving.saved_model.masks import mask_and_shares
from serving.saved_model.servable import Servable


class SegmentSignatures(WholeImageSignatures):
    """The functions behind the signatures of a segmenter.

    Args:
        limits: what is decoded at all.
    """

    def __init__(
        self, segmenter: ExportableSegmenter, limits: ImageLimits | None = None
    ):
        super().__init__(segmenter, limits, segmenter.resize)
        self._segmenter = segmenter
        classes = segmenter.vocabulary
        self._texts = {
            contract.NAMES: [
                contract.BACKGROUND,
                *(c.display_name for c in classes),
            ],
            contract.WNIDS: ["", *(c.wnid for c in classes)],
        }

    def endpoints(self) -> Endpoints:
        """Returns signature name -> (function, input signature)."""
        # Traced, and written, once for both names.
        segment = tf.function(self.segment, [IMAGES])
        return {
            contract.TAGS: (segment, [IMAGES]),
            contract.SEGMENT: (segment, [IMAGES]),
            contract.TF_EXAMPLE: (self.tf_example, [EXAMPLES]),
            contract.EMBEDDING: (self.embedding, [IMAGES]),
        }

    def segment(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> a mask each, its classes' shares, and valid [N]."""
        return self._masks(image_bytes, self._decode)

    def tf_example(self, examples: tf.Tensor) -> Outputs:
        """Serialized tf.Example [N] of our records -> the same."""
        return self._masks(examples, self._decode_example)

    def _masks(self, encoded, decode) -> Outputs:
        (images, sizes), valid = self._decode_rows(encoded, decode)
        logits = unless_empty(self._segmenter.logits, images)
        shares = tf.TensorSpec([len(self._texts[contract.NAMES])], tf.float32)
        masks, shares = tf.map_fn(
            lambda row: tf.cond(
                row[2],
                lambda: self._mask(row[0], row[1]),
                lambda: (tf.constant(b""), tf.zeros(shares.shape)),
            ),
            (tf.cast(logits, tf.float32), sizes, valid),
            # Large ones together would not fit.
            parallel_iterations=1,
            fn_output_signature=(tf.TensorSpec([], tf.string), shares),
        )
        shown = valid[:, tf.newaxis]
        return {
            contract.MASK: masks,
            contract.SHARES: clear_invalid(shares, valid),
            **{n: tf.where(shown, t, "") for n, t in self._texts.items()},
            contract.VALID: valid,
            **self._versions(tf.size(valid)),
        }

    def _mask(self, logits, size) -> tuple[tf.Tensor, tf.Tensor]:
        mask, shares = mask_and_shares(
            logits, size[0], size[1], self._segmenter.mask_of
        )
        return tf.io.encode_png(mask[..., tf.newaxis]), shares

    def difference(self, servable: Servable, images: list[bytes]) -> float:
        """Returns the part of an image's pixels that have another class."""
        served = servable.run(
            contract.SEGMENT, {contract.IMAGE_BYTES: np.array(images, object)}
        )
        if not served[contract.VALID].all():
            return np.inf
        parts = []
        for image, mask in zip(images, served[contract.MASK], strict=True):
            pixels, size = self.preprocess(tf.constant(image))
            logits = self._segmenter.logits(pixels[tf.newaxis])[0]
            expected = self._segmenter.mask_of(
                tf.cast(logits, tf.float32), size[0], size[1]
            )
            found = tf.io.decode_png(mask)[..., 0]
            parts.append(float(np.mean(found.numpy() != expected.numpy())))
        return max(parts)
