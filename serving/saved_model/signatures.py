"""The graph that is served: image bytes -> tags, scores or an embedding."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from serving.api import contract
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.exportable import ExportableTagger
from serving.saved_model.image_signatures import (
    EXAMPLES,
    IMAGES,
    Endpoints,
    ImageSignatures,
    Outputs,
    clear_invalid,
    unless_empty,
)
from serving.saved_model.servable import Servable
from serving.saved_model.served_classes import Selection, ServedClasses

# In the order of the fields of a `Selection`.
_WANTED = {
    contract.MAX_LABELS: tf.int32,
    contract.MIN_CONFIDENCE: tf.float32,
    contract.MOST_SPECIFIC: tf.bool,
    contract.INCLUDE: tf.string,
    contract.EXCLUDE: tf.string,
}


class TagSignatures(ImageSignatures):
    """The functions behind the signatures of a tagger.

    Args:
        top_k: tags an image; all classes if there are fewer.
        limits: what is decoded at all.
    """

    def __init__(
        self,
        tagger: ExportableTagger,
        top_k: int,
        limits: ImageLimits | None = None,
    ):
        side = tagger.image_size
        pixels = tf.TensorSpec([side, side, 3], tf.float32)
        super().__init__(tagger, limits, pixels)
        self._tagger = tagger
        self._top_k = min(top_k, len(tagger.vocabulary))
        self._classes = ServedClasses(
            tagger.vocabulary,
            tagger.hierarchy,
            tagger.tagging,
            tagger.one_class,
        )

    def endpoints(self) -> Endpoints:
        """Returns signature name -> (function, input signature)."""
        inputs = tf.TensorSpec([None], tf.string, contract.CLASSIFY_INPUTS)
        wanted = [tf.TensorSpec([None], t, n) for n, t in _WANTED.items()]
        return {
            contract.TAGS: (self.tags, [IMAGES]),
            contract.SELECT: (self.select, [IMAGES, *wanted]),
            contract.SCORES: (self.scores, [IMAGES]),
            contract.TF_EXAMPLE: (self.tf_example, [EXAMPLES]),
            contract.EMBEDDING: (self.embedding, [IMAGES]),
            contract.CLASSIFY: (self.classify, [inputs]),
        }

    def tags(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> the best K classes, best first, and valid [N]."""
        logits, valid = self._logits(image_bytes, self._decode)
        scores = self._classes.probabilities(logits)
        is_tag = self._classes.is_tag(scores)
        return self._best(scores, valid, is_tag, self._top_k)

    def select(self, image_bytes: tf.Tensor, *wanted: tf.Tensor) -> Outputs:
        """The chosen classes alone, best first; the rest of K is empty.

        Args:
            image_bytes: string [N].
            wanted: the fields of a `Selection`.
        """
        choice = Selection(*wanted)
        logits, valid = self._logits(image_bytes, self._decode)
        scores = self._classes.probabilities(logits)
        # Below every score, so that the chosen ones come first.
        shown = tf.where(self._classes.select(scores, choice), scores, -1.0)
        is_tag = self._classes.is_tag(scores)
        return self._best(shown, valid, is_tag, choice.max_labels)

    def scores(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> float32 [N, classes] twice, and valid [N]."""
        outputs, valid = self._all_scores(image_bytes, self._decode)
        return {**outputs, contract.VALID: valid}

    def tf_example(self, examples: tf.Tensor) -> Outputs:
        """Serialized tf.Example [N] of our records -> [N, classes] twice."""
        return self._all_scores(examples, self._decode_example)[0]

    def classify(self, inputs: tf.Tensor) -> Outputs:
        """Serialized tf.Example [N] -> classes and scores [N, K].

        What TensorFlow Serving's Classify needs, and no more.
        """
        logits, valid = self._logits(inputs, self._decode_example)
        scores = self._classes.probabilities(logits)
        values, indices = tf.math.top_k(scores, self._top_k)
        names = self._classes.describe(indices)[contract.NAMES]
        shown = valid[:, tf.newaxis]
        return {
            contract.CLASSES: tf.where(shown, names, ""),
            contract.SCORE_VALUES: tf.where(shown, values, 0.0),
        }

    def preprocess(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns float32 [S, S, 3] of an image file's bytes."""
        return self._tagger.preprocess(encoded)

    def difference(self, servable: Servable, images: list[bytes]) -> float:
        """Returns the largest difference of a score."""
        served = servable.run(
            contract.SCORES, {contract.IMAGE_BYTES: np.array(images, object)}
        )
        if not served[contract.VALID].all():
            return np.inf
        pixels = tf.stack([self.preprocess(tf.constant(i)) for i in images])
        logits = tf.cast(self._tagger.logits(pixels), tf.float32)
        expected = self._tagger.scores(logits).numpy()
        return float(np.max(np.abs(served[contract.RAW_SCORES] - expected)))

    def _best(self, scores, valid, is_tag, most) -> Outputs:
        """Returns the K best classes of each row and what belongs to them.

        Args:
            scores: float32 [N, classes]; those below 0 are not shown.
            most: int32 [N], or one for all: classes to show.
        """
        values, indices = tf.math.top_k(scores, self._top_k)
        most = tf.reshape(most, [-1, 1])
        room = tf.range(self._top_k)[tf.newaxis] < most
        shown = valid[:, tf.newaxis] & room & (values >= 0.0)
        known = self._classes.describe(indices)
        texts = (contract.NAMES, contract.WNIDS, contract.PARENTS)
        return {
            **{n: tf.where(shown, known[n], "") for n in texts},
            contract.SCORE_VALUES: tf.where(shown, values, 0.0),
            contract.LEAF: known[contract.LEAF] & shown,
            contract.IS_TAG: tf.gather(is_tag, indices, batch_dims=1) & shown,
            contract.VALID: valid,
            **self._versions(tf.size(valid)),
        }

    def _all_scores(self, encoded, decode) -> tuple[Outputs, tf.Tensor]:
        logits, valid = self._logits(encoded, decode)
        raw = self._tagger.scores(tf.cast(logits, tf.float32))
        scores = self._classes.probabilities(logits)
        return {
            contract.SCORE_VALUES: clear_invalid(scores, valid),
            contract.RAW_SCORES: clear_invalid(raw, valid),
        }, valid

    def _logits(self, encoded, decode) -> tuple[tf.Tensor, tf.Tensor]:
        images, valid = self._decode_rows(encoded, decode)
        return unless_empty(self._tagger.logits, images), valid
