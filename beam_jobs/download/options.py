"""What `tagforest download` is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.images.options import ImageLimits
from beam_jobs.option_fields import Option, Options
from beam_jobs.rejections import Reason

_SHA256 = re.compile(r"[0-9a-f]{64}")


def default_user_agent() -> str:
    """Returns how the job names itself to servers."""
    # Slow to load, and every command loads this file.
    from importlib import metadata

    return f"tagforest/{metadata.version('tagforest')} (image data set builder)"


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


@dataclass(frozen=True)
class FetchOptions(Options):
    """How to ask, and which answers are too long.

    `concurrency` is a worker's. Of `limits` a request looks at the bytes.
    """

    concurrency: Annotated[
        int, Option("Requests at a time, each worker.", min=1)
    ] = 64
    connect_timeout: Annotated[
        float, Option("Seconds until a connection stands.", over=0)
    ] = 10.0
    read_timeout: Annotated[
        float, Option("Seconds between two parts of an answer.", over=0)
    ] = 20.0
    timeout: Annotated[float, Option("Seconds for a whole answer.", over=0)] = (
        60.0
    )
    limits: ImageLimits = ImageLimits()
    allow_private: Annotated[
        bool, Option("Ask private and loopback addresses too.")
    ] = False
    ignore_opt_out: Annotated[
        bool,
        Option(
            "Keep images whose server says noai, noimageai, noindex or "
            "noimageindex (X-Robots-Tag) too."
        ),
    ] = False
    user_agent: Annotated[
        str, Option("What servers are told. Default: our name.")
    ] = ""


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(FetchOptions):
    """What to download, how fast, and what to accept.

    The wait of `backoff` is doubled for each further attempt, half of it at
    random.
    """

    out: Annotated[str, Option("Folder of the downloads.", path=True)]
    lists: Annotated[
        Sequence[str],
        Option(
            "Files with a URL first on each line, or CSVs with a column "
            "of URLs.",
            argument=True,
            metavar="LIST...",
        ),
    ]
    url_column: Annotated[
        str | None,
        Option(
            "Column of CSVs. Default: url, OriginalURL or Thumbnail300KURL."
        ),
    ] = None
    per_host_rate: Annotated[
        float, Option("Requests a second and host; 0: no limit.", min=0)
    ] = 10.0
    per_host_concurrency: Annotated[
        int, Option("Requests at a time and host; 0: no limit.", min=0)
    ] = 8
    retries: Annotated[
        int, Option("Further attempts where they may help.", min=0)
    ] = 3
    backoff: Annotated[
        float, Option("Seconds before the first of them, then doubled.", min=0)
    ] = 1.0
    max_wait: Annotated[
        float, Option("Most seconds between attempts, also if asked.", min=0)
    ] = 60.0
    placeholders: Annotated[
        frozenset[str],
        Option(
            'File of sha256 of images that say "no photo".',
            path=True,
            typed=str,
            parse=read_placeholders,
        ),
    ] = frozenset()
    placeholder_copies: Annotated[
        int,
        Option("So many URLs of one image: no photo; 0: never.", min=0),
    ] = 20
    replay: Annotated[
        frozenset[Reason],
        Option(
            "Fetch this class of failures again; repeatable.",
            typed=list[str],
            parse=parse_reasons,
        ),
    ] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lists:
            raise InputError("name at least one list of URLs")
        if self.placeholder_copies == 1:
            raise InputError(
                "placeholder_copies of 1 would refuse every image; 0 is "
                "never, 20 the default"
            )
