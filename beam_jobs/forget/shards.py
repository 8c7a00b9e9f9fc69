"""The shards of a data set: whose records go, and the files without them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from beam_jobs.dataset import record_index, records
from beam_jobs.dataset.manifest import Manifest, ShardInfo
from beam_jobs.dataset.read_records import Batch, read_batches, to_numpy
from beam_jobs.dataset_job.write_shards import write_records
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.forget.names import Names, url_of
from beam_jobs.labels import ledger as ledger_
from beam_jobs.labels.ledger import Rule
from beam_jobs.labels.ragged_columns import Labels, take_rows
from beam_jobs.runners import progress
from beam_jobs.statistics.counts import Statistics

_BATCH = 256
_LABEL_FEATURES = ("label/", "absent/", "annotation/")


@dataclass
class Found:
    """The records that go.

    Attributes:
        names: of their images, with all that the records say.
        gone: how many they are, by path of the shard.
        matched: the names that the records have.
        digests: SHA-256 of their images.
        sizes: bytes of these.
    """

    names: Names
    matched: set[str] = field(default_factory=set)
    gone: dict[str, int] = field(default_factory=dict)
    digests: set[bytes] = field(default_factory=set)
    sizes: set[int] = field(default_factory=set)

    @property
    def records(self) -> int:
        """How many records go."""
        return sum(self.gone.values())

    def has_image(self, data: bytes) -> bool:
        """Tells whether bytes are one of the images."""
        # Few images have a size in common: most need no digest.
        if len(data) not in self.sizes:
            return False
        return hashlib.sha256(data).digest() in self.digests


def find(dataset: str, manifest: Manifest, names: Names) -> Found:
    """Reads all records for those of the images.

    Args:
        dataset: folder of the data set.
        manifest: of it.
        names: of the images that are forgotten.
    """
    found = Found(Names(set(names.texts)))
    for _, shard in shards_of(manifest):
        for batch in read_batches(storage.join(dataset, shard["path"]), _BATCH):
            goes = find_rows(batch, names)
            for row in np.flatnonzero(goes):
                _note(found, shard["path"], batch, row)
            progress.advance(len(goes))
    return found


def _note(found: Found, path: str, batch: Batch, row: int) -> None:
    url = batch.parsed[records.IMAGE_SOURCE_URL][row].numpy().decode()
    found.names.add(batch.image_ids[row], url)
    found.matched |= {batch.image_ids[row], url, *url_of(batch.image_ids[row])}
    found.gone[path] = found.gone.get(path, 0) + 1
    image = batch.parsed[records.IMAGE_ENCODED][row].numpy()
    if image:
        found.sizes.add(len(image))
        found.digests.add(hashlib.sha256(image).digest())


def shards_of(manifest: Manifest) -> Iterator[tuple[str, dict]]:
    """Yields (split, shard) of a data set."""
    for split, content in sorted(manifest.splits.items()):
        for shard in content["shards"]:
            yield split, shard


def find_rows(batch: Batch, names: Names) -> np.ndarray:
    """Returns bool [records]: it is of one of the images."""
    urls = batch.parsed[records.IMAGE_SOURCE_URL].numpy()
    return np.array(
        [
            names.match(i, url.decode())
            for i, url in zip(batch.image_ids, urls, strict=True)
        ],
        bool,
    )


def count_rest(
    dataset: str, manifest: Manifest, found: Found, classes: int
) -> tuple[dict[str, Statistics], list[str]]:
    """Counts the records that stay.

    Args:
        dataset, manifest: as of `find`.
        found: what goes.
        classes: size of the vocabulary.

    Returns:
        Their statistics by split, and the ids of those among them that have
        an image that goes.
    """
    statistics: dict[str, Statistics] = {}
    copies = []
    for split, shard in shards_of(manifest):
        total = statistics.setdefault(split, Statistics(classes))
        for batch in read_batches(storage.join(dataset, shard["path"]), _BATCH):
            stays = np.flatnonzero(~find_rows(batch, found.names))
            rows = to_numpy(batch.parsed)
            licenses = rows[records.IMAGE_LICENSE][stays]
            total.add(labels_of(rows, stays), licenses)
            images = rows[records.IMAGE_ENCODED]
            copies += [
                batch.image_ids[i] for i in stays if found.has_image(images[i])
            ]
            progress.advance(len(batch.image_ids))
    return {s: t for s, t in statistics.items() if t.images}, sorted(copies)


def labels_of(rows: dict, chosen: np.ndarray) -> Labels:
    """Returns the labels of some parsed records.

    Args:
        rows: ragged [records, values] `label/*`.
        chosen: positions of records.
    """
    ledger = rows[records.LABEL_LEDGER]
    splits, values = take_rows(ledger.row_splits, chosen)
    rules = ledger_.rules_of(ledger.values)
    parents = rows[records.LABEL_ID].values.copy()
    # Others are their own; data sets of before name these too.
    taken = np.isin(rules, (Rule.ANCESTOR, Rule.CO_OCCURRENCE))
    said = rows[records.LABEL_PARENT].values
    parents[taken] = said[taken] if len(said) == len(taken) else said
    return Labels(
        splits,
        rows[records.LABEL_ID].values[values],
        rows[records.LABEL_CONFIDENCE].values[values],
        rules[values],
        parents[values],
        ledger_.sources_of(ledger.values)[values],
    )


def rewrite_shard(
    source: str, final: str, shard: ShardInfo, names: Names
) -> tuple[ShardInfo, int]:
    """Writes a shard without some records; the others keep their bytes.

    Args:
        source: the shard as it is.
        final: where it goes; not made if no record is left.
        shard: what is known of it; its label bytes are those of its split.
        names: of the images that go.

    Returns:
        What was written, and the bytes of the labels that went.

    Raises:
        InputError: it is not the shard that the manifest describes.
    """
    before = hashlib.sha256()
    gone = [0, 0]

    def kept() -> Iterator[tuple[bytes, bytes]]:
        for batch in read_batches(source, _BATCH):
            goes = find_rows(batch, names)
            for data, leaves in zip(
                batch.serialized.numpy(), goes, strict=True
            ):
                summary, label_bytes = summarise(data)
                before.update(summary)
                if leaves:
                    gone[0] += 1
                    gone[1] += label_bytes
                else:
                    yield data, summary

    # The digest is known when all is read, and a shard is read once.
    size, digest = write_records(final, kept())
    if before.hexdigest() != shard.sha256:
        raise InputError(
            f"{source} holds other records than the manifest says; make the "
            "data set anew with `tagforest dataset --overwrite`"
        )
    left = shard.records - gone[0]
    if not left:
        record_index.remove_shard(final)
    return replace(shard, records=left, bytes=size, sha256=digest), gone[1]


def summarise(example: bytes) -> tuple[bytes, int]:
    """Returns what stands for a record in its shard's digest.

    See `write_shards.Example`; and the bytes of the record's labels.
    """
    image, others, label_bytes = b"", [], 0
    for name, entry, value in _entries(example):
        if name == records.IMAGE_ENCODED:
            image = value
        else:
            others.append(entry)
            label_bytes += len(entry) * name.startswith(_LABEL_FEATURES)
    if not image:
        return example, label_bytes
    return hashlib.sha256(image).digest() + b"".join(others), label_bytes


def _entries(example: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Yields (name, entry, value of a single bytes) of the features.

    The wire format of `encode_records`.
    """
    _, features = _delimited(example, 0)
    at = 0
    while at < len(features):
        start = at
        at, entry = _delimited(features, at)
        next_at, name = _delimited(entry, 0)
        value = b""
        if name.decode() == records.IMAGE_ENCODED:
            _, feature = _delimited(entry, next_at)
            _, values = _delimited(feature, 0)
            _, value = _delimited(values, 0)
        yield name.decode(), features[start:at], value


def _delimited(data: bytes, at: int) -> tuple[int, bytes]:
    """Returns where a delimited field ends, and its content."""
    # The tag: the fields of an Example have numbers of one byte.
    at += 1
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return at + length, data[at : at + length]


def describe_shards(
    dataset: str, manifest: Manifest, paths: Sequence[str]
) -> list[ShardInfo]:
    """Returns what the manifest says of some shards, without statistics."""
    return [
        describe(dataset, split, shard)
        for split, shard in shards_of(manifest)
        if shard["path"] in paths
    ]


def describe(folder: str, split: str, shard: Mapping[str, Any]) -> ShardInfo:
    """Returns what a manifest says of a shard in a folder, as above."""
    path = shard["path"]
    size = storage.size(storage.join(folder, path))
    return ShardInfo(
        split, path, shard["records"], size, 0, shard["sha256"], {}
    )
