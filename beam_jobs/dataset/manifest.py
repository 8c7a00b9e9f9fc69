"""The manifest: what a data set was made from, and what it holds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.rejections import UnbalancedError, count_images

_MOVED = {
    "moved_by_class_cap": "validation image left to train by "
    "--validation-per-class",
    "moved_by_total_cap": "validation image left to train by --validation-max",
    "moved_as_near_duplicates": "image put beside its near-duplicate",
}
_KEPT = {
    "without_split": "image that no source puts in a split: in train",
    "copies": "image outside train with an exact copy in another split: {out}/"
    f"{dataset_folder.ACROSS_SPLITS}",
    "near_duplicates": "image outside train with a near-duplicate in another "
    f"split: {{out}}/{dataset_folder.ACROSS_SPLITS}",
}
FORMAT_VERSION = 2
# Left out where there is nothing to say.
_IF_THERE = ("kept_splits", "forgotten")


def describe(manifest, out: str | Path) -> str:
    """Returns a few lines on a data set, for the terminal."""
    counts = ", ".join(
        f"{split['images']} {name}"
        for name, split in sorted(manifest.splits.items())
    )
    images = manifest.images
    lines = [
        f"{images['in']} images in = {images['out']} out ({counts}) "
        f"+ {images['rejected']} rejected",
        f"{manifest.classes['count']} classes; data set in {out}",
    ]
    for how, count in manifest.moved.items():
        if count:
            lines.append(f"  {count} x {_MOVED[how]}")
    lines += [
        f"  {count} x {_KEPT[what].format(out=out)}"
        for what, count in manifest.kept_splits.items()
        if count
    ]
    if manifest.forgotten:
        count = manifest.forgotten["images"]
        lines.append(f"  {count} x image forgotten by `tagforest forget`")
    if manifest.kept_splits and "validation" not in manifest.splits:
        lines.append("  no image is in validation: no training can be judged")
    for reason, count in manifest.rejected.items():
        letters = f"{out}/dead_letters/{reason}.jsonl"
        lines.append(f"  {count} x {reason}: {letters}")
    lines.append(f"what it holds: {out}/statistics/index.html")
    return "\n".join(lines)


@dataclass(frozen=True)
class Manifest:
    """Written last, so a folder with a manifest is complete.

    Attributes:
        format_version: of the folder.
        fingerprint: SHA-256 over shards, vocabulary and hierarchy: equal
            fingerprints, equal training data.
        request: digest of the options and source files.
        options: as given.
        classes: `{"count", "vocabulary", "hierarchy"}` with fingerprints.
        images: `{"in", "out", "rejected"}`.
        rejected: images and rows rejected, by reason.
        splits: by name `{"images", "bytes", "label_bytes", "shards"}`.
        moved: images that are not in the split of their hash, by reason.
        kept_splits: where the splits of the sources were kept, images that
            are in none, and those with a copy or near-duplicate in another.
        forgotten: `{"images", "fingerprints"}`: how many images
            `tagforest forget` took away, and those of the data set before.
    """

    format_version: int
    fingerprint: str
    request: str
    options: Mapping[str, Any]
    classes: Mapping[str, Any]
    images: Mapping[str, int]
    rejected: Mapping[str, int]
    splits: Mapping[str, Any]
    moved: Mapping[str, int]
    kept_splits: Mapping[str, int] = field(default_factory=dict)
    forgotten: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes it into a folder, keys sorted."""
        content = asdict(self)
        for name in _IF_THERE:
            if not content[name]:
                del content[name]
        text = json.dumps(content, indent=2, sort_keys=True)
        storage.write_text(
            storage.join(folder, dataset_folder.MANIFEST), text + "\n"
        )

    @classmethod
    def load(cls, dataset: str | os.PathLike[str]) -> Manifest:
        """Reads the manifest of a data set.

        Raises:
            InputError: there is none, or of another format version.
        """
        content = dataset_folder.read_manifest(dataset)
        version = content.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"{storage.join(dataset, dataset_folder.MANIFEST)}: format "
                f"version {FORMAT_VERSION} is needed; "
                f"received: {version}; make the data set anew"
            )
        return cls(**content)


def make_manifest(
    *,
    request: str,
    options: Mapping[str, Any],
    classes: Mapping[str, Any],
    images_in: int,
    rejected: Mapping[str, int],
    shards: Iterable[ShardInfo],
    moved: Mapping[str, int],
    kept: Mapping[str, int] | None = None,
) -> Manifest:
    """Puts the results of a job together.

    Raises:
        UnbalancedError: images in are not images out and images rejected.
    """
    shards = sorted(shards, key=lambda shard: shard.path)
    images_out = sum(shard.records for shard in shards)
    images_rejected = count_images(rejected)
    if images_in != images_out + images_rejected:
        raise UnbalancedError(
            f"{images_in} images in, {images_out} out, "
            f"{images_rejected} rejected: the sum is off"
        )
    return Manifest(
        format_version=FORMAT_VERSION,
        fingerprint=_fingerprint(classes, shards),
        request=request,
        options=dict(options),
        classes=dict(classes),
        images={
            "in": images_in,
            "out": images_out,
            "rejected": images_rejected,
        },
        rejected={reason: rejected[reason] for reason in sorted(rejected)},
        splits=_by_split(shards),
        moved={reason: moved[reason] for reason in sorted(moved)},
        kept_splits=dict(kept or {}),
    )


def _fingerprint(
    classes: Mapping[str, Any], shards: Iterable[ShardInfo]
) -> str:
    digest = hashlib.sha256()
    digest.update(f"{classes['vocabulary']}{classes['hierarchy']}".encode())
    for shard in shards:
        digest.update(f"{shard.path}:{shard.sha256}\n".encode())
    return digest.hexdigest()


def _by_split(shards: Iterable[ShardInfo]) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    for shard in shards:
        split = splits.setdefault(
            shard.split,
            {"images": 0, "bytes": 0, "label_bytes": 0, "shards": []},
        )
        split["images"] += shard.records
        split["bytes"] += shard.bytes
        split["label_bytes"] += shard.label_bytes
        split["shards"].append(
            {
                "path": shard.path,
                "records": shard.records,
                "bytes": shard.bytes,
                "sha256": shard.sha256,
            }
        )
    return splits


@dataclass(frozen=True)
class ShardInfo:
    """What was written.

    Attributes:
        split: its split.
        path: within the data set folder.
        records: how many.
        bytes: of the file.
        label_bytes: of the features `label/*`, `absent/*`, `annotation/*`.
        sha256: over all records, in order (hex).
        statistics: as `Statistics.to_dict` returns them.
    """

    split: str
    path: str
    records: int
    bytes: int
    label_bytes: int
    sha256: str
    statistics: dict[str, Any]
