"""The classes of a model as constants and functions of the served graph.

Plain TensorFlow ops alone, so that TensorFlow Serving gives the same answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from model.scores.tagging import Tagging
from serving.api import contract

# A class is a tag from this probability on where nothing was calibrated.
DEFAULT_THRESHOLD = 0.5
# A threshold that no probability reaches.
_NEVER = 2.0


class Selection(NamedTuple):
    """Which classes of each row are tags; all tensors are [N].

    Attributes:
        max_labels: int32, at most so many; all below 1.
        min_confidence: float32, from this probability on; the class's own
            threshold below 0.
        most_specific: bool, leaves out classes above other tags.
        include: string, class ids with blanks or commas between them: only
            these classes and those below them. All classes if empty.
        exclude: string, likewise: not these, nor those below them.
    """

    max_labels: tf.Tensor
    min_confidence: tf.Tensor
    most_specific: tf.Tensor
    include: tf.Tensor
    exclude: tf.Tensor


class ServedClasses:
    """Names, ids, thresholds and is-a relation of the classes, in a graph.

    Args:
        vocabulary: the classes, in the order of the logits.
        hierarchy: their is-a relation.
        tagging: calibration and thresholds; None for the sigmoids and 0.5.
        one_class: an image has one: its scores are a softmax.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        hierarchy: Hierarchy,
        tagging: Tagging | None = None,
        one_class: bool = False,
    ):
        self._one_class = one_class
        self.count = len(vocabulary)
        ids = [c.wnid for c in vocabulary]
        self._names = [c.display_name.encode() for c in vocabulary]
        self._wnids = [i.encode() for i in ids]
        self._parents = [
            ",".join(ids[p] for p in parents).encode()
            for parents in hierarchy.parents
        ]
        self._leaf = hierarchy.is_leaf
        prints = _fingerprints(tf.constant(self._wnids)).numpy()
        self._by_fingerprint = np.argsort(prints).astype(np.int32)
        self._fingerprints = prints[self._by_fingerprint]
        self._above, self._below = _closure(hierarchy)
        self.calibrated = tagging is not None
        fitted = np.tile([1.0, 0.0], (self.count, 1))
        if tagging is not None:
            fitted = tagging.calibration
        self._slope, self._offset = fitted.T.astype(np.float32)
        thresholds = thresholds_of(tagging, self.count)
        self._thresholds = np.minimum(thresholds, _NEVER).astype(np.float32)

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns calibrated probabilities, none above its parents'.

        A class is there if one below it is: its logit is the highest of its
        own and those of all classes below it, as the calibration was fitted
        (`model.scores.coherent`), and so is then its probability.

        Args:
            logits: [N, classes].

        Returns:
            float32 [N, classes].
        """
        if self._one_class:
            return self.own_probabilities(logits)
        if self.calibrated:
            logits = self._highest_below(logits)
        return self._highest_below(self.own_probabilities(logits))

    def own_probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns calibrated probabilities, whatever lies below a class.

        Args:
            logits: [N, classes].

        Returns:
            float32 [N, classes].
        """
        logits = tf.cast(logits, tf.float32)
        if self._one_class:
            return tf.nn.softmax(logits)
        return tf.math.sigmoid(logits * self._slope + self._offset)

    def describe(self, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what is known of classes.

        Args:
            indices: int32 [N, K].

        Returns:
            names, wnids and parents: string [N, K]; parents are ids
            with commas between them. leaf: bool [N, K].
        """
        return {
            contract.NAMES: tf.gather(tf.constant(self._names), indices),
            contract.WNIDS: tf.gather(tf.constant(self._wnids), indices),
            contract.PARENTS: tf.gather(tf.constant(self._parents), indices),
            contract.LEAF: tf.gather(tf.constant(self._leaf), indices),
        }

    def is_tag(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Returns which classes reach their threshold, bool [N, classes]."""
        return probabilities >= self._thresholds

    def select(self, probabilities: tf.Tensor, wanted: Selection) -> tf.Tensor:
        """Returns which classes are tags, bool [N, classes].

        Args:
            wanted: all but `max_labels`, which is the caller's.
        """
        least = wanted.min_confidence[:, tf.newaxis]
        limits = tf.where(least < 0.0, self._thresholds, least)
        chosen = probabilities >= limits
        named = tf.strings.length(wanted.include)[:, tf.newaxis] > 0
        chosen &= self._in_list(wanted.include) | ~named
        chosen &= ~self._in_list(wanted.exclude)
        sure = tf.cast(chosen, tf.float32)
        covered = self._highest_below(sure, themselves=False) > 0.0
        return chosen & ~(covered & wanted.most_specific[:, tf.newaxis])

    def _in_list(self, lists: tf.Tensor) -> tf.Tensor:
        """Returns which classes a list names, or lie below one that it does.

        Args:
            lists: string [N].

        Returns:
            bool [N, classes].
        """

        def read():
            named = tf.transpose(self._named(lists))
            spread = tf.math.unsorted_segment_max(
                tf.gather(named, self._above), self._below, self.count
            )
            return tf.transpose(spread) > 0

        nothing = tf.zeros([tf.size(lists), self.count], tf.bool)
        # Most requests name no classes: nothing is looked up then.
        return tf.cond(
            tf.reduce_any(tf.strings.length(lists) > 0), read, lambda: nothing
        )

    def _named(self, lists: tf.Tensor) -> tf.Tensor:
        """Returns how often each class is in a list, int32 [N, classes]."""
        plain = tf.strings.regex_replace(lists, "[,\\s]+", " ")
        names = tf.strings.split(plain, maxsplit=contract.MAX_LIST_IDS)
        rows, names = names.value_rowids(), names.flat_values
        # Fingerprints have an order, in which a name is found quickly.
        place = tf.searchsorted(self._fingerprints, _fingerprints(names))
        # What sorts behind all others would lie beyond the table.
        place = tf.minimum(place, self.count - 1)
        classes = tf.gather(self._by_fingerprint, place)
        # An unknown name has a place, too: that of another class.
        known = tf.gather(tf.constant(self._wnids), classes) == names
        pairs = tf.stack([tf.cast(rows, tf.int32), classes], axis=1)
        shape = tf.stack([tf.size(lists), self.count])
        return tf.scatter_nd(pairs, tf.cast(known, tf.int32), shape)

    def _highest_below(
        self, values: tf.Tensor, themselves: bool = True
    ) -> tf.Tensor:
        """Returns the highest value of each class and those below it.

        Args:
            values: float32 [N, classes].
            themselves: whether classes count for themselves. If not, one with
                nothing below it has the lowest number there is.
        """
        rows = tf.transpose(values)
        chosen = slice(None) if themselves else self._above != self._below
        highest = tf.math.unsorted_segment_max(
            tf.gather(rows, self._below[chosen]),
            self._above[chosen],
            self.count,
        )
        return tf.transpose(highest)


def thresholds_of(tagging: Tagging | None, classes: int) -> np.ndarray:
    """Returns every class's threshold, float64 [classes]; inf for never."""
    if tagging is None:
        return np.full(classes, DEFAULT_THRESHOLD)
    return tagging.thresholds


def _fingerprints(names: tf.Tensor) -> tf.Tensor:
    """Returns 63 bits of each name, int64."""
    return tf.strings.to_hash_bucket_fast(names, 2**63 - 1)


def _closure(hierarchy: Hierarchy) -> tuple[np.ndarray, np.ndarray]:
    """Returns all pairs of a class and itself or one below it, int32."""
    pairs = [
        (above, below)
        for below in range(len(hierarchy))
        for above in (*hierarchy.ancestors(below), below)
    ]
    above, below = np.array(pairs, np.int32).T
    order = np.argsort(above, kind="stable")
    return above[order], below[order]
