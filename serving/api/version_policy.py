"""Which versions of a model are served (no TensorFlow here).

TensorFlow Serving's three policies (`core/` and
`config/file_system_storage_path_source.proto`,
https://github.com/tensorflow/serving).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from beam_jobs.errors import InputError

_ALLOWED = "latest, latest:N, all, or versions such as 1,3"


@dataclass(frozen=True)
class VersionPolicy:
    """The newest ones, or chosen ones.

    Attributes:
        latest: the so many highest numbers; None for all.
        specific: these alone, whatever `latest` says; none if empty.

    Raises:
        InputError: `latest` is below 1.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.latest is not None and self.latest < 1:
            raise InputError(
                f"latest must be 1 or more; received: {self.latest}"
            )

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """Reads a policy as users write it.

        Raises:
            InputError: it is none of them.

        Example:
            >>> VersionPolicy.parse("latest:2")
            VersionPolicy(latest=2, specific=())
            >>> VersionPolicy.parse("1,3").specific
            (1, 3)
        """
        if text == "all":
            return cls(latest=None)
        newest = re.fullmatch(r"latest(?::(\d{1,9}))?", text)
        if newest:
            return cls(latest=int(newest[1] or 1))
        if re.fullmatch(r"\d{1,18}(,\d{1,18})*", text):
            return cls(specific=tuple(sorted({*map(int, text.split(","))})))
        raise InputError(f"versions are {_ALLOWED}; received: {text!r}")

    def choose(self, versions: Sequence[int]) -> list[int]:
        """Returns those of the versions there are, ascending."""
        there = sorted(versions)
        if self.specific:
            return [v for v in there if v in self.specific]
        return there if self.latest is None else there[-self.latest :]


def parse_labels(texts: Iterable[str]) -> dict[str, int]:
    """Reads labels such as `stable=1`.

    Raises:
        InputError: no label, or no number.
    """
    labels = {}
    for text in texts:
        label, _, version = text.partition("=")
        if not label or not version.isdecimal():
            raise InputError(
                f"--label takes LABEL=VERSION, as stable=1; received: {text!r}"
            )
        labels[label] = int(version)
    return labels
