"""One shard -> one file of answers, and what became of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from beam_jobs.files import storage
from beam_jobs.files.read_ahead import ReadAhead
from beam_jobs.rejections import Rejection, save_rejections
from beam_jobs.runners import progress
from serving.api import contract
from serving.bulk.image_sidecars import write_sidecars
from serving.bulk.inputs import Shard
from serving.bulk.options import BulkOptions
from serving.bulk.read_images import Batch, read_batches
from serving.bulk.tag_batch import Model, Tagged, tag_batch
from serving.bulk.tag_files import open_tags

TAGS = "tags"
_REJECTED, _DONE = "rejected", "done"
# At a time: one is decoded while the network runs on another, and answers are
# written.
_CALLS = 2


@dataclass(frozen=True)
class Job:
    """What every worker needs.

    Attributes:
        options: as given.
        model: a version's folder.
        work: folder for what the stages hand on.
    """

    options: BulkOptions
    model: str
    work: str


@dataclass
class Outcome:
    """What became of one shard.

    Attributes:
        name: of the shard.
        images_in: images, and tars that are broken.
        path: file of answers within the output folder; "" without rows.
        rows: of that file.
        bytes, sha256: of that file.
        rejected: by reason.
        rejections: file of them; "" for none.
        versions: (model, vocabulary) of the answers; empty without rows.
    """

    name: str
    images_in: int = 0
    path: str = ""
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    rejected: dict[str, int] = field(default_factory=dict)
    rejections: str = ""
    versions: list[str] = field(default_factory=list)


def tag_shard(shard: Shard, model: Model, job: Job) -> Outcome:
    """Tags the images of a shard, unless an interrupted job has done so."""
    done = storage.join(job.work, _DONE, f"{shard.name}.json")
    if storage.exists(done):
        outcome = Outcome(**json.loads(storage.read_text(done)))
        progress.advance(outcome.images_in)
        return outcome
    outcome = _write(shard, model, job)
    # Last: a shard without it is tagged again, whatever lies there.
    storage.write_text(done, json.dumps(asdict(outcome)))
    return outcome


def _write(shard: Shard, model: Model, job: Job) -> Outcome:
    outcome = Outcome(shard.name, images_in=len(shard.rejections))
    path = f"{TAGS}/{TAGS}-{shard.name}.{job.options.format}"
    final = storage.join(job.options.out, path)
    temporary = storage.work_file(final)
    rejections = list(shard.rejections)
    # What a try that failed has left is written over.
    file = open_tags(temporary, job.options.format, job.options.top)
    for batch, tagged in _tag_ahead(shard, model, job.options):
        outcome.images_in += len(batch.images) + len(batch.rejections)
        if job.options.sidecars.xmp:
            tagged = write_sidecars(tagged, job.model, job.options)
        if tagged.images:
            file.add(tagged.images, tagged.outputs)
            outcome.versions = _versions(tagged.outputs)
        outcome.rows += len(tagged.images)
        rejections += batch.rejections + tagged.rejections
        progress.advance(len(batch.images) + len(batch.rejections))
    file.close()
    if outcome.rows:
        outcome.path = path
        outcome.bytes = os.path.getsize(temporary)
        outcome.sha256 = storage.sha256(temporary)
        storage.publish(temporary, final)
    else:
        os.remove(temporary)
    _save_rejections(outcome, rejections, job.work)
    return outcome


def _tag_ahead(
    shard: Shard, model: Model, options: BulkOptions
) -> ReadAhead[tuple[Batch, Tagged]]:
    """Yields the batches of a shard with their answers, in its order."""
    return ReadAhead(
        lambda batch: (batch, tag_batch(model, batch.images, options.select)),
        read_batches(shard, options.batch_size),
        threads=_CALLS,
        ahead=_CALLS,
    )


def _save_rejections(
    outcome: Outcome, rejections: Iterable[Rejection], work: str
) -> None:
    path = storage.join(work, _REJECTED, f"{outcome.name}.jsonl")
    outcome.rejected = save_rejections(path, rejections)
    outcome.rejections = path if outcome.rejected else ""


def _versions(outputs) -> list[str]:
    names = (contract.MODEL_VERSION, contract.VOCABULARY_VERSION)
    return [outputs[name][0].decode() for name in names]
