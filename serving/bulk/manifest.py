"""The manifest of a bulk job: what was tagged with what, and the sums."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.rejections import UnbalancedError
from serving.bulk.tag_shard import Outcome

KIND = "tagforest bulk"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """Written last, so a folder with a manifest is complete.

    Attributes:
        kind: `KIND`.
        format_version: of the folder.
        fingerprint: SHA-256 over the files of answers: equal fingerprints,
            equal answers.
        request: digest of the options, the sources and the model.
        options: as given.
        model: `{"folder", "fingerprint", "model_version",
            "vocabulary_version"}`; the fingerprint is that of graph and
            weights, the versions are those of the answers.
        images: `{"in", "out", "rejected"}`.
        rejected: by reason.
        left_out: files of folders without the ending of an image.
        files: `{"path", "rows", "bytes", "sha256"}`, sorted by path.
    """

    kind: str
    format_version: int
    fingerprint: str
    request: str
    options: Mapping[str, Any]
    model: Mapping[str, str]
    images: Mapping[str, int]
    rejected: Mapping[str, int]
    left_out: int
    files: list[dict[str, Any]]

    def save(self, folder: str) -> None:
        """Writes it into a folder, keys sorted."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        storage.write_text(
            storage.join(folder, dataset_folder.MANIFEST), text + "\n"
        )

    @classmethod
    def load(cls, folder: str) -> Manifest:
        """Reads the manifest of a folder.

        Raises:
            InputError: there is none, or none of a bulk job.
        """
        path = storage.join(folder, dataset_folder.MANIFEST)
        if not storage.exists(path):
            raise InputError(
                f"{folder} holds no {dataset_folder.MANIFEST}; "
                "`tagforest bulk` writes one when it has finished"
            )
        try:
            content = json.loads(storage.read_text(path))
        except ValueError as error:
            raise InputError(
                f"{path} is damaged ({error}); name another folder with "
                "--out, or remove it"
            ) from error
        version = content.get("kind"), content.get("format_version")
        if version != (KIND, FORMAT_VERSION):
            raise InputError(
                f"{path} is not of `tagforest bulk`, or of another version "
                "of it; name another folder with --out"
            )
        return cls(**content)


@dataclass(frozen=True)
class Facts:
    """What the manifest says of the making.

    Attributes:
        request: digest of the options, the sources and the model.
        options: as given.
        model: `{"folder", "fingerprint"}`.
        left_out: files of folders without the ending of an image.
        parts: how many parts the sources were cut into.
        images: how many image files were listed outside of archives.
    """

    request: str
    options: Mapping[str, Any]
    model: Mapping[str, str]
    left_out: int
    parts: int
    images: int


def make_manifest(facts: Facts, outcomes: Iterable[Outcome]) -> Manifest:
    """Puts the outcomes of all shards together.

    Raises:
        UnbalancedError: images in are not rows and rejected images, or a
            part of the sources is missing, or there are two models.
    """
    outcomes = sorted(outcomes, key=lambda outcome: outcome.name)
    rejected: Counter[str] = Counter()
    for outcome in outcomes:
        rejected.update(outcome.rejected)
    images = {
        "in": sum(outcome.images_in for outcome in outcomes),
        "out": sum(outcome.rows for outcome in outcomes),
        "rejected": rejected.total(),
    }
    _check_sums(facts, outcomes, images)
    files = [
        {"path": o.path, "rows": o.rows, "bytes": o.bytes, "sha256": o.sha256}
        for o in outcomes
        if o.rows
    ]
    return Manifest(
        kind=KIND,
        format_version=FORMAT_VERSION,
        fingerprint=_fingerprint(files),
        request=facts.request,
        options=dict(facts.options),
        model={**facts.model, **_versions(outcomes)},
        images=images,
        rejected=dict(sorted(rejected.items())),
        left_out=facts.left_out,
        files=files,
    )


def _check_sums(
    facts: Facts, outcomes: list[Outcome], images: Mapping[str, int]
) -> None:
    if images["in"] != images["out"] + images["rejected"]:
        raise UnbalancedError(
            f"{images['in']} images in, {images['out']} out, "
            f"{images['rejected']} rejected: the sum is off"
        )
    names = {outcome.name for outcome in outcomes}
    # A name begins with the number of its part.
    parts = {name.partition("-")[0] for name in names}
    if len(parts) != facts.parts or len(names) != len(outcomes):
        raise UnbalancedError(
            f"{facts.parts} parts in, {len(parts)} out in {len(outcomes)} "
            f"shards of {len(names)} names"
        )
    # More may come: archives and records tell their number when they are read.
    if images["in"] < facts.images:
        raise UnbalancedError(
            f"{facts.images} image files listed, {images['in']} read"
        )


def _versions(outcomes: Iterable[Outcome]) -> dict[str, str]:
    found = {tuple(o.versions) for o in outcomes if o.versions}
    if len(found) > 1:
        raise UnbalancedError(f"answers of several models: {sorted(found)}")
    model, vocabulary = next(iter(found), ("", ""))
    return {"model_version": model, "vocabulary_version": vocabulary}


def _fingerprint(files: Iterable[Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file['path']}:{file['sha256']}\n".encode())
    return digest.hexdigest()
