"""One worker of a download: fetches what is left of its share."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from beam_jobs.download.fetch import (
    FetchError,
    fetch,
    open_session,
)
from beam_jobs.download.image_store import ImageStore
from beam_jobs.download.log import Log, Outcome, log_files, read_log
from beam_jobs.download.options import DownloadOptions
from beam_jobs.download.schedule import Schedule
from beam_jobs.download.share import Batch, Run, divide, host_of, read_share
from beam_jobs.images.check_image import ImageError
from beam_jobs.rejections import Rejection
from beam_jobs.runners import progress

# Seconds between looks at whether the job is still wanted.
_WATCH = 1.0


class Finished(NamedTuple):
    """An item and the list it came from."""

    path: str
    outcome: Outcome


class Counts(NamedTuple):
    """What a worker saw.

    Attributes:
        urls: different ones.
        duplicates: rows with a URL that an earlier row had.
        fetched: items finished by asking a server, in this run.
    """

    urls: int
    duplicates: int
    fetched: int


class JobGoneError(RuntimeError):
    """The job that this worker belongs to has ended."""


def finish_share(
    options: DownloadOptions,
    run: Run,
    number: int,
    batches: Iterable[Batch],
    alive: Callable[[], bool] = lambda: True,
) -> Iterator[Finished | Rejection | Counts]:
    """Fetches what is left of a worker's share; yields all of its items.

    Args:
        options: of the job.
        run: of the job.
        number: number of the share.
        batches: of lists and of the log.
        alive: asked now and then; False ends the work.

    Raises:
        JobGoneError: the job was not alive any more.
        OSError: an image or the log cannot be written.
    """
    share = read_share(batches)
    worker = f"{number:05d}"
    # A runner may give a share to a second worker when the first one died.
    for path in log_files(options.out, run.number, worker):
        for outcome in read_log(path):
            share.add_logged(run.number, outcome)
    log = Log(options.out, run.number, worker)
    try:
        store = ImageStore(options.out, options.limits, options.placeholders)
        done, left = divide(share, run, store, log)
        fetched = asyncio.run(_Fetcher(options, store, log, alive).run(left))
    finally:
        log.close()
    for outcome in (*done, *fetched):
        yield Finished(share.urls[outcome.url], outcome)
    yield from share.rejections
    yield Counts(len(share.urls), share.duplicates, len(fetched))


@dataclass
class _Item:
    url: str
    attempts: int = 0
    seconds: float = 0.0


class _Fetcher:
    """Fetches URLs, as many at a time as the limits allow."""

    def __init__(
        self,
        options: DownloadOptions,
        store: ImageStore,
        log: Log,
        alive: Callable[[], bool],
    ):
        self._options = options
        self._store = store
        self._log = log
        self._alive = alive
        self._schedule: Schedule[_Item] = Schedule(
            options.per_host_rate, options.per_host_concurrency
        )
        self._outcomes: list[Outcome] = []
        self._tasks: set[asyncio.Task] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, urls: Iterable[str]) -> list[Outcome]:
        """Returns what became of each URL, in the order they finished."""
        for url in urls:
            self._schedule.add(host_of(url), _Item(url))
        if not len(self._schedule):
            return []
        self._ended = asyncio.get_running_loop().create_future()
        # Decoding needs cores, not connections.
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "images")
        self._session = open_session(self._options)
        try:
            self._watch()
            self._fill()
            await self._ended
        finally:
            await self._close()
        return self._outcomes

    async def _close(self) -> None:
        for handle in (self._timer, self._watcher):
            if handle is not None:
                handle.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        self._threads.shutdown()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watcher = loop.call_later(_WATCH, self._watch)
        if not self._alive() and not self._ended.done():
            self._ended.set_exception(JobGoneError("the job has ended"))

    def _fill(self) -> None:
        """Starts what may start now, and sees to it that the rest will."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while len(self._tasks) < self._options.concurrency:
            next_one = self._schedule.next(time.monotonic())
            if isinstance(next_one, tuple):
                task = asyncio.create_task(self._attempt(*next_one))
                self._tasks.add(task)
                task.add_done_callback(self._attempted)
                continue
            if next_one is not None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(max(next_one, 0), self._fill)
            break
        idle = not self._tasks and not len(self._schedule)
        if idle and not self._ended.done():
            self._ended.set_result(None)

    def _attempted(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if self._ended.done() or task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._fill()
        else:
            self._ended.set_exception(error)

    async def _attempt(self, host: str, item: _Item) -> None:
        start = time.monotonic()
        item.attempts += 1
        failure: FetchError | None = None
        try:
            outcome = await self._fetch(item)
        except FetchError as error:
            failure = error
            outcome = Outcome(item.url, error.reason.value, str(error))
        except ImageError as error:
            outcome = Outcome(item.url, error.reason.value, str(error))
        item.seconds += time.monotonic() - start
        self._schedule.done(host)
        if failure is not None and self._again(host, item, failure):
            return
        self._finish(item, outcome)

    async def _fetch(self, item: _Item) -> Outcome:
        response = await fetch(
            self._session, item.url, self._options, self._gate
        )
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._store.save, item.url, *response
        )

    async def _gate(self, host: str) -> None:
        now = time.monotonic()
        await asyncio.sleep(self._schedule.reserve(host, now) - now)

    def _again(self, host: str, item: _Item, failure: FetchError) -> bool:
        """Puts the item back if it deserves another attempt."""
        if not failure.again or item.attempts > self._options.retries:
            return False
        wait = self._options.backoff * 2 ** (item.attempts - 1)
        wait *= random.uniform(0.5, 1.0)
        now = time.monotonic()
        if failure.retry_after is not None:
            wait = max(wait, failure.retry_after)
            limited = min(failure.retry_after, self._options.max_wait)
            self._schedule.pause(host, now + limited)
        wait = min(wait, self._options.max_wait)
        self._schedule.add(host, item, now + wait)
        return True

    def _finish(self, item: _Item, outcome: Outcome) -> None:
        outcome = outcome._replace(
            attempts=item.attempts, seconds=round(item.seconds, 3)
        )
        self._log.write(outcome)
        self._outcomes.append(outcome)
        progress.advance()
