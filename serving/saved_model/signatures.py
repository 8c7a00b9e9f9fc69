"""The graph that is served: image bytes -> tags, scores or an embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import records
from model.scores.tagging import Tagging
from serving.api import contract
from serving.saved_model.decoding import ImageLimits, check_limits, decode_rows
from serving.saved_model.image_headers import first_frame
from serving.saved_model.served_classes import Selection, ServedClasses

Outputs = dict[str, tf.Tensor]

# In the order of the fields of a `Selection`.
_WANTED = {
    contract.MAX_LABELS: tf.int32,
    contract.MIN_CONFIDENCE: tf.float32,
    contract.MOST_SPECIFIC: tf.bool,
    contract.INCLUDE: tf.string,
    contract.EXCLUDE: tf.string,
}


@dataclass(frozen=True)
class ExportableTagger:
    """All that the served graph is made from.

    Attributes:
        logits: float32 images [B, S, S, 3] -> logits [B, classes].
        embed: the same images -> [B, D].
        preprocess: image file bytes (scalar string) -> float32 [S, S, 3],
            the function that evaluation uses. It may raise.
        image_size: S, in pixels.
        vocabulary: the classes, in the order of the logits.
        hierarchy: their is-a relation.
        tagging: calibration and thresholds; None for the sigmoids and 0.5.
        weights_version: fingerprint of the weights.
        tolerance: how much a score may change by the export. More than
            rounding errors of float32 only for networks of less precision.
        config: of the training, as JSON; "" if it is not known.
        weights: of a training, by their names.
        one_class: the scores of an image are a softmax, and add up to 1.
    """

    logits: Callable[[tf.Tensor], tf.Tensor]
    embed: Callable[[tf.Tensor], tf.Tensor]
    preprocess: Callable[[tf.Tensor], tf.Tensor]
    image_size: int
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    tagging: Tagging | None = None
    weights_version: str = ""
    tolerance: float = 1e-5
    config: str = ""
    weights: Mapping[str, Any] = field(default_factory=dict)
    one_class: bool = False

    def scores(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the scores of logits, float32 [B, classes]."""
        return (tf.nn.softmax if self.one_class else tf.math.sigmoid)(logits)


class TagSignatures:
    """The functions behind the signatures of the SavedModel.

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
        self._tagger = tagger
        self._top_k = min(top_k, len(tagger.vocabulary))
        self._limits = limits or ImageLimits()
        self._classes = ServedClasses(
            tagger.vocabulary,
            tagger.hierarchy,
            tagger.tagging,
            tagger.one_class,
        )
        # Traced once for all signatures: it is most of what an export traces.
        self._decode = tf.function(
            self._decode_image, [tf.TensorSpec([], tf.string)]
        )

    def endpoints(self) -> dict[str, tuple[Callable[..., Outputs], Any]]:
        """Returns signature name -> (function, input signature)."""
        images = tf.TensorSpec([None], tf.string, contract.IMAGE_BYTES)
        examples = tf.TensorSpec([None], tf.string, contract.EXAMPLES)
        inputs = tf.TensorSpec([None], tf.string, contract.CLASSIFY_INPUTS)
        wanted = [tf.TensorSpec([None], t, n) for n, t in _WANTED.items()]
        return {
            contract.TAGS: (self.tags, [images]),
            contract.SELECT: (self.select, [images, *wanted]),
            contract.SCORES: (self.scores, [images]),
            contract.TF_EXAMPLE: (self.tf_example, [examples]),
            contract.EMBEDDING: (self.embedding, [images]),
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

    def embedding(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> float32 [N, D] and valid [N]."""
        images, valid = self._decode_rows(image_bytes, self._decode)
        vectors = _unless_empty(self._tagger.embed, images)
        return {
            contract.EMBEDDING_VALUES: _clear_invalid(vectors, valid),
            contract.VALID: valid,
        }

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

    def _versions(self, rows) -> Outputs:
        # A row each: batching cuts every output by rows.
        return {
            contract.MODEL_VERSION: tf.fill(
                [rows], self._tagger.weights_version
            ),
            contract.VOCABULARY_VERSION: tf.fill(
                [rows], self._tagger.vocabulary.fingerprint
            ),
        }

    def _all_scores(self, encoded, decode) -> tuple[Outputs, tf.Tensor]:
        logits, valid = self._logits(encoded, decode)
        raw = self._tagger.scores(tf.cast(logits, tf.float32))
        scores = self._classes.probabilities(logits)
        return {
            contract.SCORE_VALUES: _clear_invalid(scores, valid),
            contract.RAW_SCORES: _clear_invalid(raw, valid),
        }, valid

    def _logits(self, encoded, decode) -> tuple[tf.Tensor, tf.Tensor]:
        images, valid = self._decode_rows(encoded, decode)
        return _unless_empty(self._tagger.logits, images), valid

    def _decode_rows(self, encoded, decode) -> tuple[tf.Tensor, tf.Tensor]:
        size = self._tagger.image_size
        return decode_rows(encoded, decode, (size, size, 3))

    def _decode_image(self, encoded: tf.Tensor) -> tf.Tensor:
        checks = [check_limits(encoded, self._limits)]
        # Nothing is unpacked before its header is within the limits.
        with tf.control_dependencies(checks):
            return self._tagger.preprocess(first_frame(encoded))

    def _decode_example(self, example: tf.Tensor) -> tf.Tensor:
        spec = {records.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        parsed = tf.io.parse_single_example(example, spec)
        return self._decode(parsed[records.IMAGE_ENCODED])


def _unless_empty(
    network: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor
) -> tf.Tensor:
    """Returns the network's rows [N, ...]; an empty batch is not run.

    oneDNN's kernels fail on no rows ("Matrix size-incompatible: In[0]: [0,3]"),
    and in the graph TensorFlow Serving is spared it, too.
    """
    made: list[tf.Tensor] = []

    def run():
        made.append(network(images))
        return made[0]

    def nothing():
        # Traced after `run`, whose shape and type it takes.
        return tf.zeros([0, *made[0].shape[1:]], made[0].dtype)

    return tf.cond(tf.shape(images)[0] > 0, run, nothing)


def _clear_invalid(rows: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    rows = tf.cast(rows, tf.float32)
    return tf.where(valid[:, tf.newaxis], rows, 0.0)
