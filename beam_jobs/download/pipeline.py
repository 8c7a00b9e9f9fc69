"""The Beam pipeline of a download, and its stages.

read: parts of lists and of the log -> batches of one worker's share each
fetch: a share -> what became of its URLs
finish: all URLs of some contents -> dead letters and counts, in files
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from beam_jobs.download import url_lists
from beam_jobs.download.image_store import ImageStore
from beam_jobs.download.log import OK, Log, Outcome, read_log, run_number
from beam_jobs.download.options import DownloadOptions
from beam_jobs.download.share import Batch, Run, share_of
from beam_jobs.download.worker import Counts, Finished, finish_share
from beam_jobs.files import storage
from beam_jobs.files.folder_lock import is_held
from beam_jobs.images.image_names import download_name
from beam_jobs.rejections import Reason, Rejection, save_rejections
from beam_jobs.runners.transforms import pipeline_of
from beam_jobs.sources.reader import Part
from beam_jobs.sources.text_rows import cut_text

LOG_KIND = "log"
# Items of a batch: few elements for Beam, and short lists in memory.
_BATCH = 4096
# Parts of the last stage.
_PARTS = 32
_FLAGGED = "placeholders"

Item = Finished | Rejection | Counts


def run_pipeline(
    options: DownloadOptions,
    run: Run,
    parts: Sequence[tuple[int, Part]],
    work: str,
    shares: int,
    beam_args: Sequence[str] = (),
) -> None:
    """Downloads, and leaves dead letters and counts in files.

    Args:
        options: of the job.
        run: of the job.
        parts: (number of its list, part); the negative run for the log's.
        work: folder for the files.
        shares: how many.
        beam_args: Beam's own options.
    """
    by_host = bool(options.per_host_rate or options.per_host_concurrency)
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Parts" >> beam.Create(list(parts))
            | "Read"
            >> beam.FlatMapTuple(
                lambda number, part: read_part(number, part, shares, by_host)
            )
            | "Shares" >> beam.GroupByKey()
            | "Fetch"
            >> beam.FlatMapTuple(
                lambda share, batches: _fetch(share, batches, options, run)
            )
            | "Same contents" >> beam.GroupByKey()
            | "Finish"
            >> beam.MapTuple(
                lambda part, groups: finish_part(
                    part, groups, options, run, work
                )
            )
        )


def read_part(
    number: int, part: Part, shares: int, by_host: bool
) -> Iterator[tuple[int, Batch]]:
    """Yields (share, batch) of a part of a list or of the log."""
    waiting: dict[int, list] = defaultdict(list)
    sequence = 0
    rows = (
        read_log(part.path, part.start, part.end)
        if part.reader == LOG_KIND
        else url_lists.read_urls(part)
    )
    for row in rows:
        share = 0
        if not isinstance(row, Rejection):
            url = row.url if isinstance(row, Outcome) else row
            share = share_of(url, shares, by_host)
        items = waiting[share]
        items.append(row)
        if len(items) == _BATCH:
            yield share, _batch(number, part, sequence, items)
            sequence += 1
            items.clear()
    for share, items in waiting.items():
        yield share, _batch(number, part, sequence, items)


def _batch(number: int, part: Part, sequence: int, items: list) -> Batch:
    return Batch(number, part.start, sequence, part.path, tuple(items))


def _fetch(
    share: int, batches: Iterable[Batch], options: DownloadOptions, run: Run
) -> Iterator[tuple[int, list[Item]]]:
    def alive() -> bool:
        return is_held(options.out, run.owner)

    parts: dict[int, list[Item]] = defaultdict(list)
    for item in finish_share(options, run, share, batches, alive):
        part = 0
        if isinstance(item, Finished):
            content = item.outcome.sha256
            name = content or download_name(item.outcome.url)
            part = int(name[:2], 16) % _PARTS
        parts[part].append(item)
    yield from parts.items()


def finish_part(
    part: int,
    groups: Iterable[Iterable[Item]],
    options: DownloadOptions,
    run: Run,
    work: str,
) -> None:
    """Writes the dead letters and counts of a part of all items."""
    items = [item for group in groups for item in group]
    finished = [item for item in items if isinstance(item, Finished)]
    rejections = [item for item in items if isinstance(item, Rejection)]
    copies = Counter(item.outcome.sha256 for item in finished)
    if not options.placeholder_copies:
        copies.clear()
    good: list[Outcome] = []
    flagged: list[Outcome] = []
    for path, outcome in finished:
        count = copies[outcome.sha256] if outcome.sha256 else 0
        if options.placeholder_copies and count >= options.placeholder_copies:
            detail = f"content of {count} URLs, sha256 {outcome.sha256}"
            if outcome.status == OK:
                flagged.append(outcome)
            rejections.append(
                Rejection(Reason.PLACEHOLDER, outcome.url, detail, path)
            )
        elif outcome.status == OK:
            good.append(outcome)
        else:
            rejections.append(_rejection(path, outcome))
    _remove(flagged, options, run, part)
    counts = [item for item in items if isinstance(item, Counts)]
    _save(part, work, good, rejections, counts)


def _rejection(path: str, outcome: Outcome) -> Rejection:
    reason = Reason(outcome.status)
    return Rejection(reason, outcome.url, outcome.detail, path)


def _remove(
    flagged: Sequence[Outcome],
    options: DownloadOptions,
    run: Run,
    part: int,
) -> None:
    """Logs images as placeholders, then removes them."""
    if not flagged:
        return
    log = Log(options.out, run.number, f"{_FLAGGED}-{part:02d}")
    store = ImageStore(options.out, options.limits)
    for outcome in flagged:
        status = Reason.PLACEHOLDER.value
        detail = f"content of many URLs, sha256 {outcome.sha256}"
        log.write(outcome._replace(status=status, detail=detail))
        store.remove(outcome.url)
    log.close()


def _save(
    part: int,
    work: str,
    good: Sequence[Outcome],
    rejections: Sequence[Rejection],
    counts: Sequence[Counts],
) -> None:
    letters = os.path.join(work, f"{part:02d}.letters")
    saved = {
        "out": len(good),
        "bytes": sum(outcome.bytes for outcome in good),
        "rejected": save_rejections(letters, rejections),
        "urls": sum(each.urls for each in counts),
        "duplicates": sum(each.duplicates for each in counts),
        "fetched": sum(each.fetched for each in counts),
    }
    path = os.path.join(work, f"{part:02d}.json")
    storage.write_text(path, json.dumps(saved))


def log_parts(paths: Sequence[tuple[str, int]]) -> list[tuple[int, Part]]:
    """Returns the parts of log files, given with their sizes."""
    return [
        (-run_number(path), part)
        for path, size in paths
        for part in cut_text(LOG_KIND, path, size)
    ]
