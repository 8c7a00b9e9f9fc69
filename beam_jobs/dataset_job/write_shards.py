"""Fourth stage: one shard, complete, under a temporary name, then moved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.dataset import dataset_folder, record_index, records
from beam_jobs.dataset.manifest import ShardInfo
from beam_jobs.dataset_job import carried, encode_records
from beam_jobs.dataset_job.assemble_images import PARTITIONS, PATHS, SHARD_SALT
from beam_jobs.dataset_job.encode_records import EncodedRows
from beam_jobs.dataset_job.encode_regions import with_regions
from beam_jobs.dataset_job.plan_shards import ShardPlan, load_splits
from beam_jobs.dataset_job.splits import uniform
from beam_jobs.files import storage
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.labels.label_rules import LabelledBatch, LabelRules
from beam_jobs.labels.ragged_columns import Annotations
from beam_jobs.runners import progress
from beam_jobs.runners.shuffle_files import open_partitions, ragged
from beam_jobs.statistics.counts import Statistics

_SHA256_BYTES = 32
# Records of a shard come from archives in any order.
_OPEN_FILES = 256


class UnclosedRecordError(RuntimeError):
    """A record lacks an ancestor of one of its labels: a defect, not input."""


def write_shard(
    dataset: str,
    plan: ShardPlan,
    paths: Sequence[str],
    label_rules: LabelRules,
    classes: int,
    labels_only: bool,
    ids_of_keys: Mapping[str, int],
) -> ShardInfo:
    """Writes one shard and returns what was written.

    Args:
        dataset: folder of the data set.
        plan: which shard.
        paths: all files of the second stage.
        label_rules: makes the labels.
        classes: size of the vocabulary.
        labels_only: write no images.
        ids_of_keys: class index by class key, for boxes and masks.

    Raises:
        UnclosedRecordError: a record is not closed under the hierarchy.
        OSError: an image vanished since it was checked, or the disk is full.
    """
    rows, path_names = _read_shard(plan, paths)
    annotations = _annotations(rows)
    batch = label_rules.label(annotations)
    check_closed(batch, rows.column("image_id").to_pylist(), label_rules)
    labels = encode_records.encode_labels(batch, annotations)
    ids = encode_records.encode_ids(rows.column("image_id").to_pylist())
    origin = _origin(rows)
    ids = with_regions(with_origin(ids, origin), rows, ids_of_keys)
    if labels_only:
        examples = label_examples(ids, labels)
    else:
        examples = _image_examples(rows, path_names, ids, labels)
    name = dataset_folder.shard_path(plan.split, plan.index, plan.count)
    size, digest = write_records(storage.join(dataset, name), examples)
    return ShardInfo(
        plan.split,
        name,
        len(rows),
        size,
        len(labels.data),
        digest,
        Statistics(classes)
        .add(batch.labels, origin.get(records.IMAGE_LICENSE, ()))
        .to_dict(),
    )


def _origin(rows: pa.Table) -> dict[str, list[bytes]]:
    """Returns what is known of the images' origin, by feature."""
    return {
        feature: [(t or "").encode() for t in rows.column(name).to_pylist()]
        for name, feature in carried.ORIGIN.items()
        if name in rows.column_names
    }


def with_origin(
    entries: EncodedRows, origin: Mapping[str, Sequence[bytes]]
) -> EncodedRows:
    """Adds the entries of the features that some rows have."""
    return encode_records.join(
        entries,
        *(
            encode_records.encode_texts(name, texts)
            for name, texts in origin.items()
            if any(texts)
        ),
    )


def _read_shard(
    plan: ShardPlan, paths: Sequence[str]
) -> tuple[pa.Table, list[str]]:
    """Returns the rows of a shard, in its order, and all names of files.

    Records are ordered by content and id: as good as random, always the same.
    """
    tables: list[pa.Table] = []
    names: list[str] = []
    for path in sorted(paths):
        with open_partitions(path) as file:
            tables.append(_rows_of(plan, file, load_splits(path), len(names)))
            names += file.list(PATHS)
    rows = pa.concat_tables(carried.same_columns(tables))
    keys = [("content", "ascending"), ("image_id", "ascending")]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)), names


def _rows_of(plan, file, splits: np.ndarray, first_path: int) -> pa.Table:
    code = dataset_folder.SPLITS.index(plan.split)
    # One number draws partition and shard, so a shard lies in neighbours; one
    # more at each end, for the two round differently.
    low = plan.index * PARTITIONS / plan.count
    high = (plan.index + 1) * PARTITIONS / plan.count
    chosen, start = [], 0
    for number, rows in zip(file.partitions, file.rows, strict=True):
        if number + 1 >= low and number <= high:
            batch = file.read(number)
            place = uniform(batch.column("content").to_numpy(), SHARD_SALT)
            mine = (place * plan.count).astype(np.int64) == plan.index
            mine &= splits[start : start + rows] == code
            chosen.append(batch.take(pa.array(np.flatnonzero(mine))))
        start += rows
    schema = file.schema.remove_metadata()
    table = pa.Table.from_batches(
        [batch.replace_schema_metadata() for batch in chosen], schema
    )
    position = table.schema.get_field_index("path")
    path = pc.add(table.column("path"), pa.scalar(first_path, pa.int64()))
    return table.set_column(position, "path", path)


def _annotations(rows: pa.Table) -> Annotations:
    def values(name: str) -> tuple[np.ndarray, np.ndarray]:
        return ragged(rows.column(name).combine_chunks())

    row_splits, ids = values("classes")
    return Annotations(
        row_splits, ids, values("confidences")[1], values("sources")[1]
    )


def check_closed(
    batch: LabelledBatch, image_ids: Sequence[str], label_rules: LabelRules
) -> None:
    """Proves that every record is closed under the hierarchy.

    Raises:
        UnclosedRecordError: one is not; it is named.
    """
    unclosed = label_rules.find_unclosed(batch.labels)
    if unclosed:
        names = [
            f"{image_ids[row]}: class {index}, ancestor {ancestor} missing "
            "or less confident"
            for row, index, ancestor in unclosed[:5]
        ]
        raise UnclosedRecordError(
            f"{len(unclosed)} labels are not closed: " + "; ".join(names)
        )


# A serialized Example, and what stands for it in the digest of the shard.
Example = tuple[bytes, bytes]


def label_examples(ids: EncodedRows, labels: EncodedRows) -> Iterator[Example]:
    """Yields records without images."""
    joined = encode_records.join(ids, labels)
    for example in encode_records.to_examples(joined).rows():
        yield example, example


def image_example(data: bytes, entry: bytes) -> Example:
    """Returns one record, given its image and its other entries."""
    image = encode_records.bytes_entry(records.IMAGE_ENCODED, data)
    digest = hashlib.sha256(data).digest()
    return encode_records.example_of(image, entry), digest + entry


def _image_examples(
    rows: pa.Table,
    path_names: list[str],
    ids: EncodedRows,
    labels: EncodedRows,
) -> Iterator[Example]:
    sizes = encode_records.encode_sizes(
        rows.column("height").to_numpy(), rows.column("width").to_numpy()
    )
    entries = encode_records.join(ids, sizes, labels).rows()
    columns = ("path", "offset", "length", "as_is", "sha256")
    values = zip(*(rows.column(c).to_pylist() for c in columns), strict=True)
    reader = ImageReader(_OPEN_FILES)
    for entry, (path, offset, length, as_is, sha256) in zip(
        entries, values, strict=True
    ):
        data = reader.read(ImageRef(path_names[path], offset, length))
        example = image_example(data, entry)
        # Split and hash were drawn from the bytes that were checked.
        if as_is and example[1][:_SHA256_BYTES] != sha256:
            raise OSError(f"{path_names[path]} changed while the job ran")
        yield example
        progress.advance(1)
    reader.close()


def write_records(final: str, examples: Iterator[Example]) -> tuple[int, str]:
    """Writes a TFRecord file under a temporary name, then moves it.

    Its offsets go before it: what breaks off between the two leaves none that
    are not of the shard beside them, or they have not its size.

    Returns:
        Its bytes, and the SHA-256 (hex) over what stands for its records.
    """
    import tensorflow as tf

    digest = hashlib.sha256()
    temporary = storage.work_file(final)
    lengths: list[int] = []
    with tf.io.TFRecordWriter(temporary) as writer:
        for example, summary in examples:
            writer.write(example)
            digest.update(summary)
            lengths.append(len(example))
    offsets = record_index.offsets_of(lengths)
    record_index.save(record_index.index_path(final), offsets)
    storage.publish(temporary, final)
    return storage.size(final), digest.hexdigest()
