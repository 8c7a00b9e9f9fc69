"""The download job: lists of URLs -> checked images, named by their URL.

    tagforest download LIST [LIST ...] --out FOLDER

A folder of downloads holds `images/<2 hex>/<sha256 of the URL>`, the log of
all items (see `download_log`), `dead_letters/<reason>.jsonl` and the summary
`download.json`. Whatever stopped the job, starting it again goes on: an item
that is finished, for good or for bad, is not fetched again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from beam_jobs import rejections
from beam_jobs.download.image_store import PARTIAL
from beam_jobs.download.log import LOG, log_files, run_number
from beam_jobs.download.options import DownloadOptions, default_user_agent
from beam_jobs.download.share import Run
from beam_jobs.download.url_lists import find_lists
from beam_jobs.files import storage
from beam_jobs.files.checks import check_output_folder
from beam_jobs.files.folder_lock import lock_folder, wait_for_writer
from beam_jobs.rejections import Reason, count_images, publish_dead_letters
from beam_jobs.runners import progress
from beam_jobs.runners.beam_options import check_beam_args
from beam_jobs.sources.reader import Part

SUMMARY = "download.json"
_WORK = "work"
_COUNTED = ("urls", "duplicates", "out", "bytes", "fetched")


@dataclass(frozen=True)
class Summary:
    """What a job did; `urls` = `out` + `rejected`.

    Attributes:
        urls: different URLs in the lists.
        duplicates: rows with a URL that an earlier row had; not in `urls`.
        out: images in the folder.
        rejected: URLs without an image.
        reasons: rejections by class, rows that are no URL included.
        bytes: of all images.
        fetched: URLs that this run asked a server for; the others were
            finished before.
    """

    urls: int
    duplicates: int
    out: int
    rejected: int
    reasons: dict[str, int]
    bytes: int
    fetched: int


def download(
    options: DownloadOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
) -> Summary:
    """Downloads what the lists name and the folder has not.

    Args:
        options: what to download.
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.

    Raises:
        InputError: wrong options or lists, or another job in the folder;
            always before the job starts.
    """
    check_output_folder(options.out)
    check_beam_args(beam_args)
    out = os.path.abspath(options.out)
    agent = options.user_agent or default_user_agent()
    options = replace(options, out=out, user_agent=agent)
    lists = find_lists(options.lists, options.url_column)
    owner = secrets.token_hex(8)
    with lock_folder(out, owner):
        run = _begin(options, owner)
        with progress.bar("download", "URLs", show_progress):
            summary = _run(options, run, lists, beam_args)
        _note(options, run.number, complete=True)
    return summary


def _run(
    options: DownloadOptions,
    run: Run,
    lists: Sequence[Part],
    beam_args: Sequence[str],
) -> Summary:
    from beam_jobs.download import pipeline

    work = os.path.join(options.out, _WORK)
    logs = [(path, os.path.getsize(path)) for path in log_files(options.out)]
    numbers: dict[str, int] = {}
    parts = [
        (numbers.setdefault(part.path, len(numbers)), part) for part in lists
    ]
    parts += pipeline.log_parts(logs)
    shares = count_workers(beam_args)
    pipeline.run_pipeline(options, run, parts, work, shares, beam_args)
    letters = [path for path, _ in storage.list_files(_in(work, "*.letters"))]
    publish_dead_letters(options.out, letters)
    summary = _summarise(work)
    path = os.path.join(options.out, SUMMARY)
    storage.write_text(path, json.dumps(asdict(summary), indent=2) + "\n")
    storage.remove_tree(work)
    storage.remove_tree(os.path.join(options.out, PARTIAL))
    return summary


def count_workers(beam_args: Sequence[str]) -> int:
    """Returns how many workers Beam's options ask for, as far as they say."""
    from apache_beam.options.pipeline_options import (
        DirectOptions,
        PipelineOptions,
        WorkerOptions,
    )

    options = PipelineOptions(list(beam_args))
    remote = options.view_as(WorkerOptions)
    direct = options.view_as(DirectOptions).direct_num_workers
    asked = remote.max_num_workers or remote.num_workers
    return asked or direct or os.cpu_count() or 1


def _in(folder: str, pattern: str) -> str:
    return os.path.join(storage.escape(folder), pattern)


def _summarise(work: str) -> Summary:
    totals, reasons = Counter[str](), Counter[str]()
    for path, _ in storage.list_files(_in(work, "*.json")):
        saved = json.loads(storage.read_text(path))
        totals.update({name: saved[name] for name in _COUNTED})
        reasons.update(saved["rejected"])
    rejected = count_images(reasons)
    if totals["urls"] != totals["out"] + rejected:
        raise RuntimeError(
            f"{totals['urls']} URLs in, but {totals['out']} out and "
            f"{rejected} rejected"
        )
    return Summary(
        reasons=dict(sorted(reasons.items())),
        rejected=rejected,
        **{name: totals[name] for name in _COUNTED},
    )


def _next_run(out: str) -> int:
    known = [run_number(path) for path in log_files(out)]
    return max([*known, *(run for run, _ in _notes(out)), 0]) + 1


def _begin(options: DownloadOptions, owner: str) -> Run:
    """Clears away what an earlier run left, and notes this one."""
    number = _next_run(options.out)
    for path in log_files(options.out):
        wait_for_writer(path)
    for name in (_WORK, PARTIAL, rejections.DEAD_LETTERS):
        storage.remove_tree(os.path.join(options.out, name))
    storage.remove(os.path.join(options.out, SUMMARY))
    before = _replay_before(options, number)
    _note(options, number, complete=False)
    return Run(number, owner, before)


def _replay_before(options: DownloadOptions, number: int) -> dict[Reason, int]:
    """Returns, by class to replay, the first run not to be replayed.

    A run that was stopped while it replayed a class is gone on with.
    """
    before = dict.fromkeys(options.replay, number)
    for run, note in sorted(_notes(options.out), reverse=True):
        if note["complete"]:
            break
        for reason in options.replay:
            if reason.value in note["replay"]:
                before[reason] = run
    return before


def _note(options: DownloadOptions, number: int, complete: bool) -> None:
    names = sorted(reason.value for reason in options.replay)
    note = {"complete": complete, "replay": names}
    path = os.path.join(options.out, LOG, f"{number:06d}.json")
    storage.write_text(path, json.dumps(note) + "\n")


def _notes(out: str) -> Iterator[tuple[int, dict[str, Any]]]:
    pattern = os.path.join(storage.escape(os.path.join(out, LOG)), "*.json")
    for path, _ in storage.list_files(pattern):
        number = os.path.basename(path).partition(".")[0]
        yield int(number), json.loads(storage.read_text(path))
