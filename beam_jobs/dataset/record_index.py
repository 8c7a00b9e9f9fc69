"""Where the records of a split begin: a file of offsets beside each shard.

`train-00000-of-00004.offsets.npy` holds int64 [records + 1]: the first byte of
each record of `train-00000-of-00004.tfrecord`, and the size of the file. So
any record is read without those before it.

The data set job writes them. Where they are missing or of another shard they
are made from the lengths of the records alone, and kept for the next time.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.damage import damaged
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tfrecords

_RECORDS, _OFFSETS = ".tfrecord", ".offsets.npy"
_THREADS = 16


def index_path(shard: str) -> str:
    """Returns the path of a shard's offsets.

    Example:
        >>> index_path("train/train-00000-of-00004.tfrecord")
        'train/train-00000-of-00004.offsets.npy'
    """
    return shard.removesuffix(_RECORDS) + _OFFSETS


def save(path: str, offsets: np.ndarray) -> None:
    """Writes offsets; nobody sees half of them.

    Raises:
        OSError: they cannot be written.
    """
    content = io.BytesIO()
    np.save(content, np.asarray(offsets, "<i8"))
    storage.write_bytes(path, content.getvalue())


def offsets_of(lengths: Iterable[int]) -> np.ndarray:
    """Returns the offsets of records of these bytes.

    Example:
        >>> offsets_of([5, 3]).tolist()
        [0, 21, 40]
    """
    framed = np.fromiter(lengths, np.int64) + tfrecords.FRAME_BYTES
    return np.append(0, np.cumsum(framed))


def remove_shard(shard: str) -> None:
    """Removes a shard and its offsets."""
    for path in (shard, index_path(shard)):
        storage.remove(path)


def scan(shard: str, size: int) -> np.ndarray:
    """Returns the offsets of a shard of `size` bytes, from the file itself.

    Raises:
        InputError: a length is damaged, or the file is cut.
    """
    offsets = [0]
    with storage.open_read(shard) as file:
        while (at := offsets[-1]) < size:
            length = tfrecords.length_of(file.read(tfrecords.HEADER.size))
            if length is None or at + length + tfrecords.FRAME_BYTES > size:
                raise damaged(shard, at)
            offsets.append(file.seek(at + length + tfrecords.FRAME_BYTES))
    return np.array(offsets, np.int64)


class SplitIndex:
    """Where the records of a split lie. Threads may share it.

    A shard's offsets are loaded when first asked for, and stay: 8 bytes a
    record. They are not mapped, for a mapping holds a file open.

    Args:
        sizes: bytes of every shard, in their order.
        records: of every shard, by path, as far as they are known.
        folder: where offsets are kept that cannot be written beside their
            shard; by default nowhere.

    Attributes:
        shards: their paths.
        sizes: int64 [shards], bytes.
        starts: int64 [shards + 1]: shard s holds the records from `starts[s]`
            to before `starts[s + 1]` of the split.

    Raises:
        InputError: a shard whose offsets must be made is damaged.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        records: Mapping[str, int],
        folder: str | os.PathLike[str] | None = None,
    ):
        self.shards = list(sizes)
        self.sizes = np.array(list(sizes.values()), np.int64)
        self._folder = folder
        self._records = records
        self._offsets: list[np.ndarray | None] = [None] * len(sizes)
        counts = [records[s] for s in self.shards if s in records]
        if len(counts) < len(sizes):
            counts = [len(offsets) - 1 for offsets in self._load_all()]
        self.starts = np.append(0, np.cumsum(counts)).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def place_of(self, number: int) -> tuple[int, int]:
        """Returns the shard of a record of the split, and its place there."""
        shard = int(np.searchsorted(self.starts, number, "right")) - 1
        return shard, number - int(self.starts[shard])

    def offsets(self, shard: int) -> np.ndarray:
        """Returns the offsets of a shard, int64 [records + 1].

        Raises:
            InputError: they must be made, and the shard is damaged.
        """
        found = self._offsets[shard]
        if found is None:
            found = self._load(shard)
            found = self._make(shard) if found is None else found
            self._offsets[shard] = found
        return found

    def make_anew(self, shard: int) -> None:
        """Makes the offsets of a shard anew, where it can be.

        To be called where no record is found at an offset.
        """
        # Else the shard itself is damaged: of no use to find its records.
        with contextlib.suppress(InputError):
            self._offsets[shard] = self._make(shard)

    def make_missing(self) -> None:
        """Makes the offsets that no file holds, and says so in a line.

        Raises:
            InputError: a shard is damaged.
        """
        there = self._listed()
        missing = [
            place
            for place, shard in enumerate(self.shards)
            if os.path.basename(index_path(shard)) not in there
        ]
        if missing:
            self._say(missing)
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(self.offsets, missing))

    def _say(self, missing: list[int]) -> None:
        folder = os.path.dirname(self.shards[0])
        size = self.sizes[missing].sum() / 1e9
        how = "only the length of each record is read"
        if storage.is_remote(folder):
            how = f"an object store is read as a whole for it, {size:,.1f} GB"
        print(
            f"{folder}: {len(missing)} of {len(self.shards)} shards have no "
            f"*{_OFFSETS}, which `tagforest dataset` writes: made now ({how})",
            flush=True,
        )

    def _listed(self) -> set[str]:
        """Returns the names of the files of offsets that are there."""
        folders = {os.path.dirname(shard) for shard in self.shards}
        if self._folder is not None:
            folders.add(os.fspath(self._folder))
        patterns = (
            storage.join(storage.escape(folder), f"*{_OFFSETS}")
            for folder in folders
        )
        return {os.path.basename(p) for p, _ in storage.list_files(*patterns)}

    def _load_all(self) -> list[np.ndarray]:
        self.make_missing()
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self.offsets, range(len(self.shards))))

    def _places(self, shard: int) -> list[str]:
        beside = index_path(self.shards[shard])
        if self._folder is None:
            return [beside]
        return [beside, storage.join(self._folder, os.path.basename(beside))]

    def _load(self, shard: int) -> np.ndarray | None:
        """Returns the offsets that a file holds, None if none is right."""
        for path in self._places(shard):
            try:
                found = np.load(io.BytesIO(storage.read_bytes(path)))
            except (OSError, ValueError, EOFError):
                continue
            if self._is_of(shard, found):
                return found
        return None

    def _is_of(self, shard: int, offsets: np.ndarray) -> bool:
        records = self._records.get(self.shards[shard], offsets.size - 1)
        return (
            offsets.dtype == np.int64
            and offsets.shape == (records + 1,)
            and offsets[0] == 0
            and offsets[-1] == self.sizes[shard]
            and bool((np.diff(offsets) >= tfrecords.FRAME_BYTES).all())
        )

    def _make(self, shard: int) -> np.ndarray:
        path = self.shards[shard]
        found = scan(path, int(self.sizes[shard]))
        records = self._records.get(path, len(found) - 1)
        if len(found) - 1 != records:
            raise InputError(
                f"{path}: {len(found) - 1} records, where the manifest says "
                f"{records}: it is of another data set; copy the data set anew"
            )
        for place in self._places(shard):
            try:
                save(place, found)
                break
            # A data set may lie where one may only read.
            except OSError:
                continue
        return found


def open_index(
    dataset: str | os.PathLike[str],
    split: str,
    folder: str | os.PathLike[str] | None = None,
) -> SplitIndex:
    """Returns the index of a split; makes what of it is missing.

    Args:
        folder: see `SplitIndex`.

    Raises:
        InputError: no such data set or split, or a damaged shard.
        OSError: the object store cannot be reached.
    """
    sizes = dataset_folder.shard_sizes(dataset, split)
    records = dataset_folder.shard_records(dataset, split)
    index = SplitIndex(sizes, records, folder)
    index.make_missing()
    return index


def count_records(dataset: str | os.PathLike[str], split: str) -> int:
    """Returns the records of a split, by manifest or by index.

    Raises:
        InputError: as `open_index`.
    """
    records = dataset_folder.shard_records(dataset, split)
    if dataset_folder.shard_sizes(dataset, split).keys() <= records.keys():
        return sum(records.values())
    return len(open_index(dataset, split))
