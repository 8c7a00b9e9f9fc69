"""One worker's share of a download: what of it is finished already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from beam_jobs.download.fetch import TRANSIENT, FetchError, parse_url
from beam_jobs.download.image_store import ImageStore
from beam_jobs.download.log import OK, Log, Outcome
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.runners import progress

# A later run tries these again without being told.
RERUN = TRANSIENT | {Reason.UNKNOWN_HOST}


class Batch(NamedTuple):
    """Rows of a list, or lines of the log, that belong to one worker.

    Attributes:
        number: of the list, from 0; the negative run number for the log.
        start, sequence: of the part they were read from, and in that part;
            so batches have an order.
        path: of the list.
        items: URLs and rejected rows, or Outcomes.
    """

    number: int
    start: int
    sequence: int
    path: str
    items: tuple[str | Rejection | Outcome, ...]


@dataclass(frozen=True)
class Run:
    """One start of the job.

    Attributes:
        number: from 1, in its folder.
        owner: holds the folder's lock; see `folder_lock`.
        replay_before: items of a class of failure whose last run is before
            this one are fetched again.
    """

    number: int
    owner: str = ""
    replay_before: Mapping[Reason, int] = field(default_factory=dict)


def host_of(url: str) -> str:
    """Returns the host of a URL, "" if it has none.

    Example:
        >>> host_of("https://Example.org:8080/a.jpg")
        'example.org'
    """
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def share_of(url: str, shares: int, by_host: bool) -> int:
    """Returns which worker fetches a URL.

    Args:
        url: as the list spells it.
        shares: number of workers' shares.
        by_host: all of a host to one worker, so that its limits hold.
    """
    key = host_of(url) if by_host else url
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shares


@dataclass
class Share:
    """What the batches of one worker say.

    Attributes:
        urls: path of the first list that holds it, by URL, in order.
        logged: (run, last outcome) by URL.
        rejections: rows that are none.
        duplicates: rows with a URL that an earlier row had.
    """

    urls: dict[str, str] = field(default_factory=dict)
    logged: dict[str, tuple[int, Outcome]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    duplicates: int = 0

    def add_logged(self, run: int, outcome: Outcome) -> None:
        """Keeps the outcome, unless a later one is known."""
        url = outcome.url
        known = self.logged.get(url)
        if url in self.urls and (
            known is None or _age(run, outcome) > _age(*known)
        ):
            self.logged[url] = (run, outcome)


def _age(run: int, outcome: Outcome) -> tuple[int, bool, bool]:
    # Within a run, an image is found to be a placeholder after it was good.
    placeholder = outcome.status == Reason.PLACEHOLDER.value
    return run, placeholder, outcome.status == OK


def read_share(batches: Iterable[Batch]) -> Share:
    """Puts the batches of one worker together; their order is no matter."""
    share = Share()
    # Lists come in their order, then the log.
    for batch in sorted(batches, key=lambda b: (b.number < 0, b[:3])):
        for item in batch.items:
            if isinstance(item, Outcome):
                share.add_logged(-batch.number, item)
            elif isinstance(item, Rejection):
                share.rejections.append(item)
            elif item in share.urls:
                share.duplicates += 1
            else:
                share.urls[item] = batch.path
    return share


def divide(
    share: Share, run: Run, store: ImageStore, log: Log
) -> tuple[list[Outcome], list[str]]:
    """Returns the finished items, and the URLs that are left to fetch.

    Args:
        share: of the worker.
        run: of the job.
        store: asked for the images.
        log: gets a line for what is found to be finished and is not logged.
    """
    done: list[Outcome] = []
    left: list[str] = []
    for url in share.urls:
        known = share.logged.get(url)
        outcome = (
            _found(url, store, log)
            if known is None
            else _still_done(known[0], known[1], run, store)
        )
        if outcome is None:
            left.append(url)
        else:
            done.append(outcome)
            progress.advance()
    return done, left


def _found(url: str, store: ImageStore, log: Log) -> Outcome | None:
    """Returns what a URL is without the log and without a request."""
    try:
        parse_url(url)
    except FetchError as error:
        outcome: Outcome | None = Outcome(url, error.reason.value, str(error))
    else:
        # The job may have been killed between the image and its line.
        outcome = store.find(url)
    if outcome is not None:
        log.write(outcome)
    return outcome


def _still_done(
    last_run: int, outcome: Outcome, run: Run, store: ImageStore
) -> Outcome | None:
    """Returns a logged item, None if it is to be fetched again."""
    if outcome.status == OK:
        there = store.find(outcome.url, outcome.bytes)
        return outcome if there else None
    reason = Reason(outcome.status)
    if reason in RERUN and last_run < run.number:
        return None
    if last_run < run.replay_before.get(reason, 0):
        return None
    if reason is Reason.PLACEHOLDER:
        # The job may have been killed between the line and the removal.
        store.remove(outcome.url)
    return outcome
