"""Workers that share a work: each does its part, the chief adds them up.

Nothing lies on disk in between, so that an end leaves nothing half-written:
the chief asks, the others answer over the links they hold to it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from beam_jobs.errors import InputError
from model.workers import links
from model.workers.endings import PartDoneError
from model.workers.links import Link

Arrays = Mapping[str, np.ndarray]
_POLL_SECONDS = 1.0
_WORD_SECONDS = 60.0


class Counts(Protocol):
    """Whole numbers that may be added in any order."""

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted."""

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted."""


class Team:
    """This process among those that share a work.

    Args:
        index: of this worker; 0 is the chief.
        others: of the chief to each other worker, by index from 1 on; of
            another worker to the chief alone.
        place: of this worker among those on its machine.
    """

    def __init__(
        self,
        index: int = 0,
        count: int = 1,
        others: Sequence[Link] = (),
        place: int = 0,
    ):
        self.index, self.count, self.place = index, count, place
        self._links = list(others)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def part(self) -> str:
        """What a bar says besides, that shows the chief's part alone."""
        return f", part 1 of {self.count}" if self.count > 1 else ""

    def part_of(self, total: int) -> range:
        """Returns the numbers below `total` that are this worker's."""
        return range(
            self.index * total // self.count,
            (self.index + 1) * total // self.count,
        )

    def check(self) -> None:
        """Raises LinkLostError if another worker is gone."""
        for link in self._links:
            link.check()

    def from_chief(self, make: Callable[[], Arrays]) -> Arrays:
        """Returns on all workers what the chief alone has made."""
        if not self.is_chief:
            return self._receive(self._links[0])
        made = make()
        if self._links:
            content = links.pack(made)
            for link in self._links:
                link.send(links.ARRAYS, content)
        return made

    def add_up(self, counts: Counts) -> None:
        """Adds what the others have counted to the chief's.

        Raises:
            PartDoneError: this is another worker, and the chief has ended.
        """
        if not self.is_chief:
            found = {str(i): array for i, array in enumerate(counts.tables())}
            self._hand_over([links.pack(found, sparse=True)])
        for link in self._links:
            theirs = self._receive(link)
            counts.add_tables([theirs[str(i)] for i in range(len(theirs))])

    def in_turn(
        self, make: Callable[[range], Iterator[Arrays]], total: int
    ) -> Iterator[Arrays]:
        """Returns on the chief what all make, number after number.

        Args:
            make: makes those of the numbers below `total` that are given.

        Raises:
            PartDoneError: this is another worker, and the chief has ended.
        """
        mine = make(range(self.index, total, self.count))
        if not self.is_chief:
            self._hand_over(map(links.pack, mine))
        return self._collect(mine, total)

    def _collect(self, mine: Iterator[Arrays], total: int) -> Iterator[Arrays]:
        for number in range(total):
            if owner := number % self.count:
                yield self._receive(self._links[owner - 1])
            else:
                yield next(mine)

    def end(self, error: InputError | None = None) -> None:
        """Tells the other workers that all is written, or what is wrong."""
        kind, text = (links.ERROR, str(error)) if error else (links.END, "")
        for link in self._links:
            # Who is gone needs no word.
            with contextlib.suppress(links.LinkLostError):
                link.send(kind, text.encode())
        for link in self._links:
            link.end()

    def close(self) -> None:
        """Ends all connections at once."""
        for link in self._links:
            link.close()

    def _hand_over(self, contents) -> None:
        [chief] = self._links
        for content in contents:
            chief.check()
            chief.send(links.ARRAYS, content)
        self._wait_for(chief)
        chief.receive(links.END)
        chief.close()
        raise PartDoneError

    def _receive(self, link: Link) -> Arrays:
        self._wait_for(link)
        return links.unpack(link.receive(links.ARRAYS))

    def _wait_for(self, link: Link) -> None:
        """Says each minute who is awaited; sees whether all are there."""
        next_word = time.monotonic() + _WORD_SECONDS
        while not link.is_ready(_POLL_SECONDS):
            self.check()
            if time.monotonic() >= next_word:
                next_word += _WORD_SECONDS
                print(f"waiting for {link.name}", flush=True)


ALONE = Team()
