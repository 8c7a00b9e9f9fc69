"""The graph that is served: image bytes -> tags, scores or an embedding.

Decoding in TensorFlow raises on a bad image, and one raised error fails the
whole batch: in TensorFlow Serving with batching, every client in it. No check
of the header can rule that out, since a JPEG's body may be garbage too. So
every image is decoded in a `tf.data` pipeline inside the graph, which drops
the elements that raise (`Dataset.ignore_errors`), and the rows that are left
are put back in their places. The dropped ones get `valid = false`, empty
names and zero scores. These are ordinary TensorFlow ops: TensorFlow Serving
runs the same graph and gives the same answers, and the local server needs no
check of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from beam_jobs import records
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.vocabulary import Vocabulary
from serving import contract

_PARALLEL_DECODES = 4

Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class ExportableTagger:
    """All that the served graph is made from.

    Attributes:
        logits: float32 images [B, S, S, 3] -> logits [B, classes].
        embed: the same images -> [B, D].
        preprocess: image file bytes (scalar string) -> float32 [S, S, 3],
            the function that training uses. It may raise.
        image_size: S, in pixels.
        vocabulary: the classes, in the order of the logits.
        hierarchy: their is-a relation.
        tolerance: how much a score may change by the export. More than
            rounding errors of float32 only for networks of less precision.
    """

    logits: Callable[[tf.Tensor], tf.Tensor]
    embed: Callable[[tf.Tensor], tf.Tensor]
    preprocess: Callable[[tf.Tensor], tf.Tensor]
    image_size: int
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    tolerance: float = 1e-5


@dataclass(frozen=True)
class ImageLimits:
    """An image over either limit is not decoded; its row is not valid."""

    max_bytes: int = contract.MAX_IMAGE_BYTES
    max_pixels: int = contract.MAX_IMAGE_PIXELS


class TagSignatures:
    """The functions behind the signatures of the SavedModel.

    Args:
        tagger: model, preprocessing and classes.
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
        classes = tagger.vocabulary
        self._names = [c.display_name.encode() for c in classes]
        self._wnids = [c.wnid.encode() for c in classes]
        self._leaf = tagger.hierarchy.is_leaf

    def endpoints(self) -> dict[str, tuple[Callable[..., Outputs], Any]]:
        """Returns signature name -> (function, input signature)."""
        images = [tf.TensorSpec([None], tf.string, contract.IMAGE_BYTES)]
        examples = [tf.TensorSpec([None], tf.string, contract.EXAMPLES)]
        return {
            contract.TAGS: (self.tags, images),
            contract.SCORES: (self.scores, images),
            contract.TF_EXAMPLE: (self.tf_example, examples),
            contract.EMBEDDING: (self.embedding, images),
        }

    def tags(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> the best K classes, best first, and valid [N]."""
        scores, valid = self._score(image_bytes, self._decode)
        values, indices = tf.math.top_k(scores, self._top_k)
        shown = valid[:, tf.newaxis]
        names = tf.gather(tf.constant(self._names), indices)
        wnids = tf.gather(tf.constant(self._wnids), indices)
        leaf = tf.gather(tf.constant(self._leaf), indices)
        return {
            contract.NAMES: tf.where(shown, names, ""),
            contract.WNIDS: tf.where(shown, wnids, ""),
            contract.SCORE_VALUES: values,
            contract.LEAF: tf.logical_and(leaf, shown),
            contract.VALID: valid,
        }

    def scores(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> float32 [N, classes] and valid [N]."""
        scores, valid = self._score(image_bytes, self._decode)
        return {contract.SCORE_VALUES: scores, contract.VALID: valid}

    def tf_example(self, examples: tf.Tensor) -> Outputs:
        """Serialized tf.Example [N] of our records -> [N, classes]."""
        scores, _ = self._score(examples, self._decode_example)
        return {contract.SCORE_VALUES: scores}

    def embedding(self, image_bytes: tf.Tensor) -> Outputs:
        """string [N] -> float32 [N, D] and valid [N]."""
        images, valid = self._decode_rows(image_bytes, self._decode)
        vectors = self._tagger.embed(images)
        return {
            contract.EMBEDDING_VALUES: _clear_invalid(vectors, valid),
            contract.VALID: valid,
        }

    def _score(self, encoded, decode) -> tuple[tf.Tensor, tf.Tensor]:
        images, valid = self._decode_rows(encoded, decode)
        logits = self._tagger.logits(images)
        scores = tf.math.sigmoid(tf.cast(logits, tf.float32))
        return _clear_invalid(scores, valid), valid

    def _decode_rows(self, encoded, decode) -> tuple[tf.Tensor, tf.Tensor]:
        size = self._tagger.image_size
        return decode_rows(encoded, decode, (size, size, 3))

    def _decode(self, encoded: tf.Tensor) -> tf.Tensor:
        checks = [check_limits(encoded, self._limits)]
        with tf.control_dependencies(checks):
            return self._tagger.preprocess(tf.identity(encoded))

    def _decode_example(self, example: tf.Tensor) -> tf.Tensor:
        spec = {records.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        parsed = tf.io.parse_single_example(example, spec)
        return self._decode(parsed[records.IMAGE_ENCODED])


def _clear_invalid(rows: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    rows = tf.cast(rows, tf.float32)
    return tf.where(valid[:, tf.newaxis], rows, 0.0)


def decode_rows(
    encoded: tf.Tensor,
    decode: Callable[[tf.Tensor], tf.Tensor],
    shape: tuple[int, int, int],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes every row that can be decoded; never raises.

    Args:
        encoded: string [N].
        decode: scalar string -> float32 of `shape`; may raise.
        shape: of one decoded row.

    Returns:
        float32 [N, *shape], zero where decoding failed, and bool [N].
    """
    count = tf.size(encoded)
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
    rows = rows.map(
        lambda row, data: (row, tf.ensure_shape(decode(data), shape)),
        num_parallel_calls=_PARALLEL_DECODES,
    )
    # One row too many at the end: a batch with nothing left is no batch.
    spare = tf.data.Dataset.from_tensors((count, tf.zeros(shape)))
    rows = rows.ignore_errors().concatenate(spare)
    rows = rows.batch(tf.cast(count, tf.int64) + 1)
    rows = rows.with_options(_plain_options())
    index, decoded = rows.get_single_element()
    index = index[:, tf.newaxis]
    images = tf.scatter_nd(index, decoded, tf.stack([count + 1, *shape]))
    valid = tf.scatter_nd(index, tf.ones_like(index[:, 0]), [count + 1])
    return tf.ensure_shape(images[:-1], (None, *shape)), valid[:-1] > 0


def _plain_options() -> tf.data.Options:
    # Rewriting and tuning the pipeline, on every request, costs more than
    # such a short one can win back.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def check_limits(encoded: tf.Tensor, limits: ImageLimits) -> tf.Operation:
    """Raises unless a JPEG, PNG or BMP within the limits, by its header.

    The other formats that TensorFlow reads stay out: its GIF reader unpacks
    all frames before it returns the first, whatever the header says.
    """
    height, width = header_size(encoded)
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    within = tf.logical_and(pixels > 0, pixels <= limits.max_pixels)
    short = tf.strings.length(encoded) <= limits.max_bytes
    return tf.debugging.Assert(tf.logical_and(within, short), ["limits"])


def header_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads height and width (int32) without decoding; 0, 0 if unknown."""

    def jpeg():
        shape = tf.image.extract_jpeg_shape(encoded)
        return shape[0], shape[1]

    def png():
        # https://www.w3.org/TR/png-3/#11IHDR: width, height, big-endian.
        raw = tf.strings.substr(encoded, 16, 8)
        values = tf.io.decode_raw(raw, tf.int32, little_endian=False)
        return values[1], values[0]

    def bmp():
        # BITMAPINFOHEADER: width, height, little-endian; a negative height
        # means rows from the top.
        raw = tf.strings.substr(encoded, 18, 8)
        values = tf.io.decode_raw(raw, tf.int32)
        return tf.abs(values[1]), values[0]

    def starts_with(magic: bytes) -> tf.Tensor:
        return tf.strings.substr(encoded, 0, len(magic)) == magic

    cases = [
        (starts_with(b"\xff\xd8\xff"), jpeg),
        (starts_with(b"\x89PNG\r\n\x1a\n"), png),
        (starts_with(b"BM"), bmp),
    ]
    zero = tf.constant(0)
    return tf.case(cases, default=lambda: (zero, zero))
