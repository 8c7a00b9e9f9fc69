"""What `tagforest download` is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from beam_jobs.errors import InputError
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason

_SHA256 = re.compile(r"[0-9a-f]{64}")


def default_user_agent() -> str:
    """Returns how the job names itself to servers."""
    return f"tagforest/{metadata.version('tagforest')} (image data set builder)"


@dataclass(frozen=True)
class DownloadOptions:
    """What to download, how fast, and what to accept.

    Attributes:
        out: folder of the downloads.
        lists: files with URLs.
        url_column: column of CSVs; None: see `url_lists.COLUMNS`.
        concurrency: requests at a time, each worker.
        per_host_rate: requests a second and host; 0 is no limit.
        per_host_concurrency: requests at a time and host; 0 is no limit.
        connect_timeout, read_timeout, timeout: seconds until a connection
            stands, between two pieces of an answer, for a whole answer.
        retries: further attempts after a failure that may pass.
        backoff: seconds before the first of them, doubled for each further
            one; half of it at random.
        max_wait: most seconds between attempts, whatever a server asks for.
        limits: which pictures are accepted.
        placeholders: sha256, hex, of contents that say "no photo here".
        placeholder_copies: a content under so many URLs is one of these too;
            0 for never.
        allow_private: ask private and loopback addresses too.
        user_agent: what servers are told.
        replay: classes of failures to fetch again.
    """

    out: str
    lists: Sequence[str]
    url_column: str | None = None
    concurrency: int = 64
    per_host_rate: float = 10.0
    per_host_concurrency: int = 8
    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    timeout: float = 60.0
    retries: int = 3
    backoff: float = 1.0
    max_wait: float = 60.0
    limits: ImageLimits = ImageLimits()
    placeholders: frozenset[str] = frozenset()
    placeholder_copies: int = 20
    allow_private: bool = False
    user_agent: str = ""
    replay: frozenset[Reason] = frozenset()

    def __post_init__(self):
        if not self.lists:
            raise InputError("name at least one list of URLs")
        self._check_least("concurrency", 1)
        for name in ("connect_timeout", "read_timeout", "timeout"):
            if getattr(self, name) <= 0:
                value = getattr(self, name)
                raise InputError(f"{name} must be over 0; received: {value}")
        for name in (
            "per_host_rate",
            "per_host_concurrency",
            "retries",
            "backoff",
            "max_wait",
            "placeholder_copies",
        ):
            self._check_least(name, 0)
        if self.placeholder_copies == 1:
            raise InputError(
                "placeholder_copies of 1 would refuse every picture; 0 is "
                "never, 20 the default"
            )

    def _check_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not value >= least:
            raise InputError(
                f"{name} must be at least {least}; received: {value}"
            )


def read_placeholders(path: str) -> frozenset[str]:
    """Reads a sha256 a line, hex; anything after it is a comment.

    Raises:
        InputError: a line that holds none (file:line), or no such file.
    """
    found = set()
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                digest = (
                    line.split(maxsplit=1)[0].lower() if line.split() else ""
                )
                if digest and not _SHA256.fullmatch(digest):
                    raise InputError(
                        f"{path}:{number}: a sha256 of 64 hex digits is "
                        f"needed; received: {digest[:80]!r}"
                    )
                found.add(digest)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return frozenset(found - {""})


def parse_reasons(names: Sequence[str]) -> frozenset[Reason]:
    """Returns the classes of failures of their names.

    Raises:
        InputError: a name of none.
    """
    from beam_jobs.download.log import REASONS

    known = {reason.value: reason for reason in REASONS}
    for name in names:
        if name not in known:
            raise InputError(
                f"--replay {name}: no such class; there are "
                f"{', '.join(sorted(known))}"
            )
    return frozenset(known[name] for name in names)
