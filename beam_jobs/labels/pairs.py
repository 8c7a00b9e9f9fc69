"""The table of classes that occur together: `pairs.tsv`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import parse_index, read_tsv

_HEADER = ("wnid", "adds_wnid", "co", "n_i", "n_ij")


# Of the columns of `Pairs`, byte order fixed for the fingerprint.
_DTYPES = ("<i4", "<i4", "<f8", "<i8", "<i8")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Strong pairs: an image that has the source class has the added one.

    Attributes:
        source_class: int32 [pairs], i.
        added_class: int32 [pairs], j.
        co: float64 [pairs], CO(i, j).
        n_i: int64 [pairs], images with i.
        n_ij: int64 [pairs], images with both.
    """

    source_class: np.ndarray
    added_class: np.ndarray
    co: np.ndarray
    n_i: np.ndarray
    n_ij: np.ndarray

    def __len__(self) -> int:
        return len(self.source_class)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all pairs and their figures, in this order."""
        digest = hashlib.sha256()
        for column, dtype in zip(self._columns, _DTYPES, strict=True):
            digest.update(np.ascontiguousarray(column, dtype).tobytes())
        return digest.hexdigest()

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return (
            *(self.source_class, self.added_class),
            *(self.co, self.n_i, self.n_ij),
        )

    def save(
        self, path: str | os.PathLike[str], vocabulary: Vocabulary
    ) -> None:
        """Writes `wnid<TAB>adds_wnid<TAB>co<TAB>n_i<TAB>n_ij` lines."""
        rows = ["\t".join(_HEADER)]
        columns = (column.tolist() for column in self._columns)
        for i, j, *figures in zip(*columns, strict=True):
            wnids = (vocabulary[i].wnid, vocabulary[j].wnid)
            rows.append("\t".join((*wnids, *map(repr, figures))))
        Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], vocabulary: Vocabulary
    ) -> Pairs:
        """Reads what `save` wrote, or what a person wrote.

        Raises:
            InputError: no such file, a malformed line, an unknown class, a
                class that adds itself, a pair twice (file:line).
        """
        rows: dict[tuple[int, int], tuple[float, int, int]] = {}
        for line, fields in read_tsv(path, _HEADER):
            pair = _parse_classes(fields, vocabulary, path, line)
            if pair in rows:
                raise InputError(
                    f"{path}:{line}: the pair {fields[0]} {fields[1]} stands "
                    "twice; remove one of the lines"
                )
            rows[pair] = _parse_figures(fields, path, line)
        values = [(*pair, *figures) for pair, figures in rows.items()]
        columns = list(zip(*values, strict=True)) or [()] * len(_DTYPES)
        return cls(*map(np.array, columns, _DTYPES))


def _parse_classes(
    fields: list[str],
    vocabulary: Vocabulary,
    path: str | os.PathLike[str],
    line: int,
) -> tuple[int, int]:
    try:
        i, j = (vocabulary.index_of(wnid) for wnid in fields[:2])
    except InputError as error:
        raise InputError(f"{path}:{line}: {error}") from None
    if i == j:
        raise InputError(f"{path}:{line}: {fields[0]} cannot add itself")
    return i, j


def _parse_figures(
    fields: list[str], path: str | os.PathLike[str], line: int
) -> tuple[float, int, int]:
    n_i, n_ij = (parse_index(text, path, line) for text in fields[3:])
    try:
        co = float(fields[2])
    except ValueError:
        co = -1.0
    if not (0 <= co <= 1 and 0 <= n_ij <= n_i):
        raise InputError(
            f"{path}:{line}: co must be 0 to 1 and n_ij 0 to n_i; received: "
            f"{fields[2]!r}, {n_ij} and {n_i}"
        )
    return co, n_i, n_ij
