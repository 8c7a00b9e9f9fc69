"""What was annotated, as records keep it, and corrections of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from beam_jobs.dataset import records
from beam_jobs.labels import ledger as ledger_
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.ragged_columns import Annotations


def annotations_of(rows: dict[str, Any]) -> Annotations:
    """Returns what was annotated, from the ledger of parsed records.

    A corrected record keeps all of it in `annotation/*`; of others a part is
    to be seen in `label/*` and `absent/id`.

    Args:
        rows: ragged [images, values] `label/*`, `annotation/*`, `absent/id`.
    """
    ledger, kept = rows[records.LABEL_LEDGER], rows[records.ANNOTATION_ID]
    kept_sources = rows[records.ANNOTATION_SOURCE].values
    whole = _any(kept.row_splits, kept_sources == Source.CORRECTIONS)
    rules = ledger_.rules_of(ledger.values)
    by_parent = rules == Rule.PARENT
    shown = (rules == Rule.ANNOTATED) | by_parent
    shown &= ~np.repeat(whole, np.diff(ledger.row_splits))
    absent = rows[records.ABSENT_ID]
    ruled_out = ~np.repeat(whole, np.diff(absent.row_splits))
    # An absent class names no source; only people verify absence.
    human = np.full(int(ruled_out.sum()), Source.OPEN_IMAGES_HUMAN)
    label_sources = ledger_.sources_of(ledger.values[shown])
    return _by_image(
        (
            _splits(ledger.row_splits, shown),
            kept.row_splits,
            _splits(absent.row_splits, ruled_out),
        ),
        (
            rows[records.LABEL_ID].values[shown],
            kept.values,
            absent.values[ruled_out],
        ),
        (
            rows[records.LABEL_CONFIDENCE].values[shown],
            rows[records.ANNOTATION_CONFIDENCE].values,
            np.zeros(len(human)),
        ),
        (
            label_sources + by_parent[shown] * ledger_.BY_PARENT,
            kept_sources,
            human,
        ),
    )


def without(annotations: Annotations, source: Source) -> Annotations:
    """Returns what other sources say."""
    others = annotations.sources % np.uint8(ledger_.BY_PARENT) != source
    return Annotations(
        _splits(annotations.row_splits, others),
        annotations.ids[others],
        annotations.confidences[others],
        annotations.sources[others],
    )


def with_corrections(
    annotations: Annotations,
    image_ids: Sequence[str],
    corrections: Mapping[str, Mapping[int, float]],
) -> Annotations:
    """Returns annotations and corrections, those in place of earlier ones.

    Args:
        annotations: of these images.
        image_ids: theirs.
        corrections: confidence by class index by image id.
    """
    own = [corrections.get(image_id, {}) for image_id in image_ids]
    if not any(own):
        return annotations
    image = np.repeat(np.arange(len(own)), np.diff(annotations.row_splits))
    earlier = annotations.sources == Source.CORRECTIONS
    again = [
        is_correction and int(index) in own[row]
        for row, index, is_correction in zip(
            image, annotations.ids, earlier, strict=True
        )
    ]
    stays = ~np.array(again, bool)
    values = [(i, sure) for said in own for i, sure in sorted(said.items())]
    ids, confidences = zip(*values, strict=True)
    return _by_image(
        (
            _splits(annotations.row_splits, stays),
            np.cumsum([0, *map(len, own)]),
        ),
        (annotations.ids[stays], np.array(ids)),
        (annotations.confidences[stays], np.array(confidences)),
        (
            annotations.sources[stays],
            np.full(len(ids), Source.CORRECTIONS),
        ),
    )


def _any(row_splits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.diff(_splits(row_splits, chosen)) > 0


def _splits(row_splits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the row splits of the chosen values."""
    return np.append(0, np.cumsum(chosen))[row_splits]


def _by_image(splits, ids, confidences, sources) -> Annotations:
    """Joins columns of the same images, an image's values side by side."""
    image = np.concatenate(
        [np.repeat(np.arange(len(s) - 1), np.diff(s)) for s in splits]
    )
    order = np.argsort(image, kind="stable")
    return Annotations(
        sum(np.asarray(s, np.int64) for s in splits),  # type: ignore[arg-type]
        np.concatenate(ids)[order].astype(np.int32),
        np.concatenate(confidences)[order].astype(np.float32),
        np.concatenate(sources)[order].astype(np.uint8),
    )
