"""Which split an image belongs to: a function of its content alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from beam_jobs.dataset.dataset_folder import (
    CALIBRATION,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
)
from beam_jobs.dataset_job.options import SplitOptions
from beam_jobs.images.near_duplicates import near_duplicates

_TRAIN, _VALIDATION, _CALIBRATION = (
    SPLITS.index(split) for split in (TRAIN, VALIDATION, CALIBRATION)
)
# The parts of [0, 1): where calibration comes or goes, train alone changes.
_DRAWN = (_TRAIN, _CALIBRATION, _VALIDATION, SPLITS.index(TEST))


@dataclass(frozen=True)
class SplitReport:
    """Number of images that other rules than chance have moved.

    Attributes:
        moved_by_class_cap: from validation to train.
        moved_by_total_cap: from validation to train.
        moved_as_near_duplicates: to the split of another image.
    """

    moved_by_class_cap: int = 0
    moved_by_total_cap: int = 0
    moved_as_near_duplicates: int = 0


def uniform(content: np.ndarray, salt: str) -> np.ndarray:
    """Returns numbers that depend on the content and the salt alone.

    Args:
        content: uint64 [n], such as the first 8 bytes of a SHA-256.
        salt: different ones draw independent numbers.

    Returns:
        float64 [n] in [0, 1): the upper 53 bits of the mixed content.
    """
    return (_mix(content, salt) >> np.uint64(11)) * 2.0**-53


def _mix(content: np.ndarray, salt: str) -> np.ndarray:
    """One to one: the finalizer of splitmix64 (Steele et al., 2014)."""
    digest = hashlib.sha256(salt.encode()).digest()
    # The sum wraps around, as meant.
    salted = np.array([int.from_bytes(digest[:8], "big")], np.uint64)
    mixed: np.ndarray = content + salted
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def assign_splits(
    content: np.ndarray,
    perceptual: np.ndarray | None,
    class_splits: np.ndarray,
    class_ids: np.ndarray,
    options: SplitOptions,
) -> tuple[np.ndarray, SplitReport]:
    """Assigns every image to a split, whatever the order of the images.

    1. A hash of the content draws the split. Copies share it. Calibration is
       drawn out of train's part, so that others keep theirs.
    2. An image stays in validation if in each of its classes it is among the
       first `validation_per_class` in hash order, then if it is among the
       first `validation_max` in all. Copies count, and go together. The rest
       goes to train.
    3. Images of validation and calibration that are near-duplicates of each
       other, directly or by others of these splits, form groups. A group
       with a near-duplicate in train goes to train, else one with an image
       in calibration to calibration, another one to the split of its first
       image in hash order.
    4. Where this has brought images to validation, the caps hold again, and
       push out whole groups.

    In the end no two copies or near-duplicates are in different splits, and
    validation and test are what they would be if train had calibration's part.

    Args:
        content: uint64 [images], equal for exact copies.
        perceptual: uint64 [images], `hash_thumbnails`; None keeps
            only exact copies together.
        class_splits: int64 [images + 1], row splits of `class_ids`.
        class_ids: int32 [values], classes annotated as present.
        options: what is wanted.

    Returns: int8 [images], index into `dataset_folder.SPLITS`; what has moved.
    """
    split = _draw(content, options)
    held = np.flatnonzero(split != _TRAIN)
    order = _mix(content[held], f"order:{options.seed}")
    classes = _classes_of(held, class_splits, class_ids)
    draft = _Draft(split[held], order, *classes)
    _, copies = np.unique(order, return_inverse=True)
    moved = np.array([*draft.cap(copies, options), 0])
    split[held] = draft.split
    if perceptual is not None and options.near_duplicate_distance >= 0:
        train = perceptual[split == _TRAIN]
        groups, near = draft.join(copies, perceptual[held], train, options)
        moved += [*draft.cap(groups, options), near]
        split[held] = draft.split
    return split, SplitReport(*moved.tolist())


def _draw(content: np.ndarray, options: SplitOptions) -> np.ndarray:
    fractions = [options.fractions.get(SPLITS[split], 0.0) for split in _DRAWN]
    points = uniform(content, f"split:{options.seed}")
    drawn = np.searchsorted(np.cumsum(fractions), points, side="right")
    # The sum of the fractions may fall short of 1 by rounding.
    return np.array([*_DRAWN, _TRAIN], np.int8)[drawn]


def _classes_of(
    images: np.ndarray, class_splits: np.ndarray, class_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs of a place in `images` and a class, none twice."""
    lengths = class_splits[images + 1] - class_splits[images]
    owners = np.repeat(np.arange(len(images)), lengths)
    classes = class_ids[_ranges(class_splits[images], lengths)]
    place = np.lexsort((classes, owners))
    owners, classes = owners[place], classes[place]
    new = np.ones(len(place), bool)
    new[1:] = (np.diff(owners) != 0) | (np.diff(classes) != 0)
    return owners[new], classes[new]


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenates the ranges of these starts and lengths."""
    ends = np.cumsum(lengths)
    total = ends[-1] if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


@dataclass
class _Draft:
    """The images that are held out of train, so far.

    Attributes:
        split: int8 [images], index into `dataset_folder.SPLITS`.
        order: uint64 [images], hash order; equal for copies alone.
        owners: int64 [values], image of each class.
        classes: int32 [values], its annotated classes, none twice.
    """

    split: np.ndarray
    order: np.ndarray
    owners: np.ndarray
    classes: np.ndarray

    def cap(self, units: np.ndarray, options: SplitOptions) -> tuple[int, int]:
        """Moves what is over a cap to train, by whole units.

        Args:
            units: int64 [images], what goes together.
            options: the caps.

        Returns:
            Number of images moved by the cap of a class, by that of all.
        """
        by_class = by_total = 0
        if options.validation_per_class:
            here = self.split[self.owners] == _VALIDATION
            owners, classes = self.owners[here], self.classes[here]
            over = _over_cap(
                classes, self.order[owners], options.validation_per_class
            )
            by_class = self._move(units, owners[over])
        if options.validation_max:
            rest = np.flatnonzero(self.split == _VALIDATION)
            over = _over_cap(
                np.zeros_like(rest), self.order[rest], options.validation_max
            )
            by_total = self._move(units, rest[over])
        return by_class, by_total

    def _move(self, units: np.ndarray, images: np.ndarray) -> int:
        moved = np.isin(units, units[images])
        self.split[moved] = _TRAIN
        return int(moved.sum())

    def join(
        self,
        copies: np.ndarray,
        perceptual: np.ndarray,
        train: np.ndarray,
        options: SplitOptions,
    ) -> tuple[np.ndarray, int]:
        """Brings near-duplicates to one split.

        Args:
            copies: int64 [images], equal for copies.
            perceptual: uint64 [images].
            train: uint64 [...], perceptual hashes of all images in train.
            options: the distance.

        Returns:
            int64 [images], group of near-duplicates; number of images moved.
        """
        held = np.flatnonzero(self.split != _TRAIN)
        # Equal hashes are one node, so that many of them cost nothing.
        hashes, nodes = np.unique(perceptual[held], return_inverse=True)
        both = np.concatenate([hashes, np.unique(train)])
        left, right = near_duplicates(
            both,
            np.arange(len(both)) < len(hashes),
            options.near_duplicate_distance,
        )
        in_train = right >= len(hashes)
        groups = _components(
            # Copies may be turned differently, and so differ in hash.
            np.concatenate([left[~in_train], nodes]),
            np.concatenate([right[~in_train], len(hashes) + copies[held]]),
            len(hashes) + len(self.split),
        )
        group = groups[nodes]
        new = self.split.copy()
        new[held] = self._first_of(held, group)
        # Without a calibration split these would be like an image of train,
        # and so in no other split either.
        in_calibration = self.split[held] == _CALIBRATION
        new[held[np.isin(group, group[in_calibration])]] = _CALIBRATION
        new[held[np.isin(group, groups[left[in_train]])]] = _TRAIN
        moved = int((new != self.split).sum())
        self.split = new
        # Numbers of groups are below that of nodes; the rest is in train.
        everyone = np.full(len(new), len(groups))
        everyone[held] = group
        return everyone, moved

    def _first_of(self, held: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Returns the split of the first image of each one's group."""
        place = np.lexsort((self.order[held], group))
        _, first, inverse = np.unique(
            group[place], return_index=True, return_inverse=True
        )
        result = np.empty(len(held), np.int8)
        result[place] = self.split[held[place[first]]][inverse]
        return result


def _over_cap(classes: np.ndarray, order: np.ndarray, cap: int) -> np.ndarray:
    """Returns the places that are not among the first `cap` of a class."""
    place = np.lexsort((order, classes))
    ordered = classes[place]
    rank = np.arange(len(place)) - np.searchsorted(ordered, ordered)
    return place[rank >= cap]


def _components(
    left: np.ndarray, right: np.ndarray, num_nodes: int
) -> np.ndarray:
    """Numbers the connected components of a graph, by node."""
    edges = coo_array(
        (np.ones(len(left), bool), (left, right)), (num_nodes, num_nodes)
    )
    return connected_components(edges, directed=False)[1]
