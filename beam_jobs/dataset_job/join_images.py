"""All that the sources say of one image, joined by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job.carried import (
    Carried,
    join_columns,
    read_columns,
    take_columns,
)
from beam_jobs.dataset_job.read_annotations import CLASS_KEYS, PATHS
from beam_jobs.labels.ledger import Source
from beam_jobs.labels.ragged_columns import take_rows
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.runners.shuffle_files import open_partitions, ragged


@dataclass(frozen=True)
class Rows:
    """Rows of one partition, of all files.

    Attributes:
        image_ids: string [rows].
        sources, rotations: [rows]; a rotation of -1 is unknown.
        paths: int32 [rows], position in `path_names`; -1 without a file.
        offsets, lengths: int64 [rows], bytes.
        row_splits: int64 [rows + 1], of the next two.
        classes: int32 [values], position in `class_keys`.
        confidences: float32 [values].
        path_names, class_keys: sorted.
        carried: columns of `carried`, [rows].
    """

    image_ids: pa.Array
    sources: np.ndarray
    rotations: np.ndarray
    paths: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    row_splits: np.ndarray
    classes: np.ndarray
    confidences: np.ndarray
    path_names: list[str]
    class_keys: list[str]
    carried: Carried


@dataclass(frozen=True)
class JoinedImages:
    """Images, each once, ordered by where their bytes lie.

    Attributes:
        image_ids: string [images].
        paths, offsets, lengths, rotations: as in `Rows`, [images].
        row_splits: int64 [images + 1], of the next three.
        classes, confidences, sources: [values].
        carried: columns of `carried`, [images].
    """

    image_ids: pa.Array
    paths: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    rotations: np.ndarray
    row_splits: np.ndarray
    classes: np.ndarray
    confidences: np.ndarray
    sources: np.ndarray
    carried: Carried

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, chosen: np.ndarray) -> JoinedImages:
        """Returns some of the images, in the order given."""
        splits, values = take_rows(self.row_splits, chosen)
        return JoinedImages(
            self.image_ids.take(pa.array(chosen)),
            self.paths[chosen],
            self.offsets[chosen],
            self.lengths[chosen],
            self.rotations[chosen],
            splits,
            self.classes[values],
            self.confidences[values],
            self.sources[values],
            take_columns(self.carried, chosen),
        )


def read_rows(paths: Sequence[str], partition: int) -> Rows:
    """Reads one partition of the files of the first stage.

    The result does not depend on the order of the files.
    """
    batches, keys, names = [], [], []
    for path in sorted(paths):
        with open_partitions(path) as file:
            batches.append(file.read(partition))
            keys.append(file.list(CLASS_KEYS))
            names.append(file.list(PATHS))
    class_keys = sorted(set().union(*keys))
    path_names = sorted(set().union(*names))
    lists = [ragged(batch.column("classes")) for batch in batches]
    lengths = [np.diff(splits) for splits, _ in lists]

    def column(name: str) -> np.ndarray:
        return np.concatenate([b.column(name).to_numpy() for b in batches])

    return Rows(
        image_ids=pa.concat_arrays([b.column("image_id") for b in batches]),
        sources=column("source"),
        rotations=column("rotation"),
        paths=_recode([b.column("path").to_numpy() for b in batches], names),
        offsets=column("offset"),
        lengths=column("length"),
        row_splits=np.concatenate(([0], np.cumsum(np.concatenate(lengths)))),
        classes=_recode([values for _, values in lists], keys),
        confidences=np.concatenate(
            [ragged(b.column("confidences"))[1] for b in batches]
        ),
        path_names=path_names,
        class_keys=class_keys,
        carried=read_columns(batches),
    )


def _recode(codes: list[np.ndarray], names: list[list[str]]) -> np.ndarray:
    """Turns positions in each list into positions in the sorted union."""
    position = {name: i for i, name in enumerate(sorted(set().union(*names)))}
    # The last entry is what -1, no name, picks.
    tables = [np.array([*map(position.get, n), -1], np.int32) for n in names]
    return np.concatenate(
        [table[code] for table, code in zip(tables, codes, strict=True)]
    )


def join_rows(
    rows: Rows, need_files: bool
) -> tuple[JoinedImages, list[Rejection], int]:
    """Joins rows by image id.

    Rows that name the same bytes, or none, speak of one image. Of several
    files under one id, the first by path and offset is kept with the classes
    of its rows, and each of the others is rejected with its own.

    Args:
        rows: of one partition; all rows of an image lie in one.
        need_files: reject images without a file.

    Returns:
        The images, the rejections, and the number of images there were.
    """
    encoded = rows.image_ids.dictionary_encode()
    group = encoded.indices.to_numpy()
    ids = encoded.dictionary
    owner, others = _owners(rows, group, len(ids))
    extra = others[_first_of_files(rows, group, others)]
    rejections = [_duplicate(rows, row, owner[group[row]]) for row in extra]
    rotation, conflicts = _rotations(rows, group, ids)
    rejections += conflicts
    carried, conflicts = _carried(rows, group, ids, others)
    rejections += conflicts
    splits, values, sources = _values_of(rows, group, len(ids), others)
    images = JoinedImages(
        ids,
        np.where(owner >= 0, rows.paths[owner], -1),
        np.where(owner >= 0, rows.offsets[owner], 0),
        np.where(owner >= 0, rows.lengths[owner], 0),
        rotation,
        splits,
        rows.classes[values],
        rows.confidences[values],
        sources,
        carried,
    )
    alone = ~_has_other_than(rows, group, len(ids), Source.CORRECTIONS)
    missing = ((owner < 0) & need_files) | alone
    silent = (np.diff(splits) == 0) & ~missing
    rejections += _without(images, rows, missing, silent)
    kept = np.flatnonzero(~missing & ~silent)
    # As the bytes lie, so that archives are read forwards.
    order = np.lexsort((images.offsets[kept], images.paths[kept]))
    return images.take(kept[order]), rejections, len(ids) + len(extra)


def _has_other_than(
    rows: Rows, group: np.ndarray, groups: int, source: Source
) -> np.ndarray:
    """Tells of which groups another source speaks as well."""
    has = np.zeros(groups, bool)
    has[group[rows.sources != source]] = True
    return has


def _owners(
    rows: Rows, group: np.ndarray, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row with the file of each group, and rows of other files.

    A group without a file has row -1; the other rows are sorted by file.
    """
    with_file = np.flatnonzero(rows.paths >= 0)
    # By group, then path, then offset: lexsort's last key comes first.
    order = with_file[
        np.lexsort(
            (rows.offsets[with_file], rows.paths[with_file], group[with_file])
        )
    ]
    first = np.ones(len(order), bool)
    first[1:] = group[order][1:] != group[order][:-1]
    owner = np.full(groups, -1)
    owner[group[order[first]]] = order[first]
    of_order = owner[group[order]]
    same = rows.paths[order] == rows.paths[of_order]
    same &= rows.offsets[order] == rows.offsets[of_order]
    return owner, order[~same]


def _first_of_files(
    rows: Rows, group: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Tells which of sorted rows are the first of their image and file."""
    first = np.ones(len(order), bool)
    for column in (group, rows.paths, rows.offsets):
        values = column[order]
        first[1:] &= values[1:] == values[:-1]
    first[1:] = ~first[1:]
    return first


def _duplicate(rows: Rows, row: int, first: int) -> Rejection:
    return Rejection(
        Reason.DUPLICATE_ID,
        rows.image_ids[int(row)].as_py(),
        f"first at {rows.path_names[rows.paths[first]]}:{rows.offsets[first]}",
        rows.path_names[rows.paths[row]],
    )


def _rotations(
    rows: Rows, group: np.ndarray, ids: pa.Array
) -> tuple[np.ndarray, list[Rejection]]:
    known = np.flatnonzero(rows.rotations >= 0)
    lowest = np.full(len(ids), 360, np.int16)
    highest = np.full(len(ids), -1, np.int16)
    np.minimum.at(lowest, group[known], rows.rotations[known])
    np.maximum.at(highest, group[known], rows.rotations[known])
    rejections = [
        Rejection(
            Reason.MALFORMED_ROW,
            ids[int(i)].as_py(),
            f"rotations {lowest[i]} and {highest[i]}; {lowest[i]} is used",
        )
        for i in np.flatnonzero((highest >= 0) & (highest != lowest))
    ]
    return np.where(highest >= 0, lowest, 0), rejections


def _carried(
    rows: Rows, group: np.ndarray, ids: pa.Array, dropped: np.ndarray
) -> tuple[Carried, list[Rejection]]:
    if not rows.carried:
        return {}, []
    own = np.setdiff1d(np.arange(len(group)), dropped)
    return join_columns(take_columns(rows.carried, own), group[own], ids)


def _values_of(
    rows: Rows, group: np.ndarray, groups: int, dropped: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the annotations of each group: splits, positions, sources."""
    lengths = np.diff(rows.row_splits)
    if groups == len(group):  # no image has two rows
        sources = np.repeat(rows.sources, lengths)
        return rows.row_splits, np.arange(len(sources)), sources
    kept = np.ones(len(group), bool)
    kept[dropped] = False
    order = np.flatnonzero(kept)
    splits, values = take_rows(rows.row_splits, order)
    of_value = np.repeat(group[order], np.diff(splits))
    sources = np.repeat(rows.sources[order], np.diff(splits))
    # By content, so that the order of the files makes no difference.
    by_group = np.lexsort(
        (rows.confidences[values], sources, rows.classes[values], of_value)
    )
    by_group = by_group[
        _surest(of_value, rows.classes[values], sources, by_group)
    ]
    ends = np.cumsum(np.bincount(of_value[by_group], minlength=groups))
    return np.append(0, ends), values[by_group], sources[by_group]


def _surest(
    image: np.ndarray, classes: np.ndarray, sources: np.ndarray, order
) -> np.ndarray:
    """Tells which of sorted annotations no surer one of its kind follows.

    A row an object says a class as often as there are objects; presence wins
    over absence, as it does in the label rules. Open Images' rows stay: two
    of a class are two people's answers.
    """
    last = np.ones(len(order), bool)
    if len(order):
        answers = [s for s in Source if s.kind == Source.OPEN_IMAGES_HUMAN.kind]
        same = ~np.isin(sources[order][1:], answers)
        for column in (image, classes, sources):
            same &= column[order][1:] == column[order][:-1]
        last[:-1] = ~same
    return last


def _without(
    images: JoinedImages, rows: Rows, missing: np.ndarray, silent: np.ndarray
) -> list[Rejection]:
    rejections = []
    for i in np.flatnonzero(missing):
        detail = "named in an annotation file, but there is no image"
        item = images.image_ids[int(i)].as_py()
        rejections.append(Rejection(Reason.MISSING_IMAGE, item, detail))
    for i in np.flatnonzero(silent):
        path = images.paths[i]
        rejections.append(
            Rejection(
                Reason.NO_ANNOTATION,
                images.image_ids[int(i)].as_py(),
                "no source says what it shows",
                rows.path_names[path] if path >= 0 else "",
            )
        )
    return rejections


def count_classes(
    images: JoinedImages, class_keys: Sequence[str], min_confidence: float
) -> dict[str, dict[str, int]]:
    """Returns images by kind of source and class key.

    An image counts once for a class, however often it is said; corrections
    count for nothing.
    """
    kinds = sorted({source.kind for source in Source})
    kind_of = np.array([kinds.index(source.kind) for source in Source])
    if not len(images):
        return {}
    said = images.confidences >= np.float32(min_confidence)
    # They change labels, not the classes that there are.
    said &= images.sources != Source.CORRECTIONS
    image = np.repeat(np.arange(len(images)), np.diff(images.row_splits))[said]
    pair = kind_of[images.sources[said]] * len(class_keys)
    # Pairs times images go past the 32 bits of a position.
    pair = (pair + images.classes[said]).astype(np.int64)
    once = np.unique(pair * len(images) + image) // len(images)
    found, counts = np.unique(once, return_counts=True)
    result: dict[str, dict[str, int]] = {}
    for number, count in zip(found.tolist(), counts.tolist(), strict=True):
        kind, key = divmod(number, len(class_keys))
        result.setdefault(kinds[kind], {})[class_keys[key]] = count
    return result
