"""What a model, or the annotations, say of the images of a data set.

The SavedModel is loaded once in a worker process and called with batches of
image bytes. Any signature will do that takes one batch of strings and gives
scores of all classes, or the WordNet ids and scores of some.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.cooccurrence.options import ModelOptions
from beam_jobs.dataset import records
from beam_jobs.dataset.read_records import no_image_error, read_batches
from beam_jobs.errors import InputError
from beam_jobs.labels import ledger
from beam_jobs.labels.ledger import Rule
from beam_jobs.rejections import Reason, Rejection

_LABELS_BATCH = 256


class Positives(NamedTuple):
    """The positive classes of one image.

    Attributes:
        image_id: of the record.
        ids: class indices.
        unknown: how many classes the vocabulary lacks; the columns of a
            model without a class here are not looked at.
    """

    image_id: str
    ids: list[int]
    unknown: int = 0


class Predictor:
    """A SavedModel that says which classes it is sure of.

    Args:
        options: which model, and how it is called.
        wnids: the vocabulary of the data set.

    Raises:
        InputError: no SavedModel, no such signature or output, or other
            classes.
    """

    def __init__(self, options: ModelOptions, wnids: Sequence[str]):
        self._options = options
        self._index_by_wnid = {wnid: i for i, wnid in enumerate(wnids)}
        self._model = _load(options.path)
        self._signature = _signature_of(self._model, options)
        inputs = self._signature.structured_input_signature[1]
        self._input = _only_input(inputs, options)
        outputs = self._signature.structured_outputs
        if options.scores not in outputs:
            raise InputError(
                f"{options.path}: signature {options.signature!r} has no "
                f"output {options.scores!r}; it has: {', '.join(outputs)}"
            )
        self._columns: np.ndarray | None = None
        if options.wnids not in outputs:
            self._columns = self._model_columns(wnids)
            self._check_width(outputs[options.scores].shape[-1])

    def positives(
        self, batch: Sequence[bytes], posterior: float
    ) -> list[list[int] | str]:
        """Returns for each image its classes, or what is wrong with it.

        Args:
            batch: image bytes, or records.
            posterior: a class is positive with a higher score.
        """
        try:
            return self._call(batch, posterior)
        except tf.errors.OpError as error:
            if len(batch) == 1:
                return [error.message.splitlines()[0][:200]]
        # One image that the graph cannot decode fails its whole batch.
        return [self.positives([one], posterior)[0] for one in batch]

    def _call(
        self, batch: Sequence[bytes], posterior: float
    ) -> list[list[int] | str]:
        outputs = self._signature(**{self._input: tf.constant(list(batch))})
        scores = outputs[self._options.scores].numpy()
        self._check_width(scores.shape[1])
        rows, places = np.nonzero(scores > posterior)
        found: list[list[int] | str] = [[] for _ in batch]
        for row, index in zip(
            rows.tolist(), self._indices(outputs, rows, places), strict=True
        ):
            if index >= 0:
                found[row].append(index)  # type: ignore[union-attr]
        if self._options.valid in outputs:
            for row in np.flatnonzero(~outputs[self._options.valid].numpy()):
                found[row] = "the model cannot read it"
        return found

    def _indices(self, outputs: Mapping[str, Any], rows, places) -> list[int]:
        if self._columns is not None:
            return self._columns[places].tolist()
        wnids = outputs[self._options.wnids].numpy()[rows, places]
        return [self._index_by_wnid.get(w.decode(), -1) for w in wnids]

    def _model_columns(self, wnids: Sequence[str]) -> np.ndarray:
        path = self._options.vocabulary
        classes = [c.wnid for c in Vocabulary.load(path)] if path else wnids
        return np.array([self._index_by_wnid.get(w, -1) for w in classes])

    def _check_width(self, width: int | None) -> None:
        if self._columns is None or width in (None, len(self._columns)):
            return
        raise InputError(
            f"{self._options.path} scores {width} classes, but the "
            f"vocabulary has {len(self._columns)}; name that of the model "
            "with --model-vocabulary"
        )


@functools.lru_cache(maxsize=1)
def load_predictor(options: ModelOptions, wnids: tuple[str, ...]) -> Predictor:
    """Returns the Predictor of this process."""
    return Predictor(options, wnids)


def predict(
    shard: str,
    predictor: Predictor,
    options: ModelOptions,
    posterior: float,
    hierarchy: Hierarchy | None = None,
) -> Iterator[Positives | Rejection]:
    """Yields what a model is sure of for every record of a shard.

    Args:
        shard: path of the TFRecord file.
        predictor: the model.
        options: it was made from.
        posterior: a class is positive with a higher score.
        hierarchy: of the data set, to add the annotated classes of the
            record with their ancestors; without it they are left out.

    Raises:
        InputError: a data set without images.
    """
    for batch in read_batches(shard, options.batch_size):
        image_ids = batch.image_ids
        encoded = batch.parsed[records.IMAGE_ENCODED].numpy().tolist()
        if not all(encoded):
            raise no_image_error(shard, image_ids[encoded.index(b"")])
        fed = batch.serialized.numpy().tolist() if options.examples else encoded
        found = predictor.positives(fed, posterior)
        labels = _closed_labels(batch.parsed, hierarchy) if hierarchy else None
        for row, (image_id, ids) in enumerate(
            zip(image_ids, found, strict=True)
        ):
            if isinstance(ids, str):
                yield Rejection(Reason.BROKEN_IMAGE, image_id, ids, shard)
            else:
                yield Positives(image_id, ids + (labels[row] if labels else []))


def annotated(shard: str, hierarchy: Hierarchy) -> Iterator[Positives]:
    """Yields the annotated classes of every record with their ancestors.

    What the co-occurrence rule added to a data set is left out: it is no
    observation.
    """
    for batch in read_batches(shard, _LABELS_BATCH, images=False):
        labels = _closed_labels(batch.parsed, hierarchy)
        for image_id, ids in zip(batch.image_ids, labels, strict=True):
            yield Positives(image_id, ids)


def _closed_labels(
    parsed: Mapping[str, Any], hierarchy: Hierarchy
) -> list[list[int]]:
    splits, ids = _annotated_ids(parsed, len(hierarchy))
    rows = []
    for begin, end in itertools.pairwise(splits.tolist()):
        own = ids[begin:end].tolist()
        above = (hierarchy.ancestors(i) for i in own)
        rows.append(sorted(set(own).union(*above)))
    return rows


def _annotated_ids(
    parsed: Mapping[str, Any], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns row splits and class indices of annotations that are labels.

    An annotation is hidden if a better claim gave the same label; it counts
    all the same. One whose label is not there was switched off or corrected.
    """
    label_keys = _row_keys(parsed[records.LABEL_ID], classes)
    hidden = _row_keys(parsed[records.ANNOTATION_ID], classes)
    # A corrected record keeps there what was said to be absent as well.
    hidden = hidden[parsed[records.ANNOTATION_CONFIDENCE].values.numpy() > 0]
    rules = ledger.rules_of(parsed[records.LABEL_LEDGER].values.numpy())
    keys = np.union1d(
        label_keys[rules == Rule.ANNOTATED],
        np.intersect1d(hidden, label_keys),
    )
    rows = parsed[records.LABEL_ID].nrows()
    splits = np.searchsorted(keys, np.arange(rows + 1) * classes)
    return splits, keys % classes


def _row_keys(ragged: Any, classes: int) -> np.ndarray:
    rows = ragged.value_rowids().numpy()
    return rows * classes + ragged.values.numpy()


def _load(path: str) -> Any:
    if not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise InputError(
            f"{path} holds no saved_model.pb; name the folder of a "
            "SavedModel, `<model>/<version>` as `tagforest export` writes it"
        )
    try:
        return tf.saved_model.load(path)
    except Exception as error:  # the loader raises many kinds
        raise InputError(f"{path} cannot be loaded: {error}") from error


def _signature_of(model: Any, options: ModelOptions) -> Any:
    if options.signature not in model.signatures:
        raise InputError(
            f"{options.path} has no signature {options.signature!r}; it has: "
            f"{', '.join(sorted(model.signatures))}"
        )
    return model.signatures[options.signature]


def _only_input(inputs: Mapping[str, Any], options: ModelOptions) -> str:
    described = ", ".join(
        f"{name}: {spec.dtype.name}{spec.shape}"
        for name, spec in inputs.items()
    )
    strings = [
        name
        for name, spec in inputs.items()
        if spec.dtype == tf.string and spec.shape.rank == 1
    ]
    if len(inputs) != 1 or not strings:
        raise InputError(
            f"{options.path}: signature {options.signature!r} must take one "
            f"batch of strings; it takes {described}"
        )
    return strings[0]
