"""Rejected inputs: kept by every stage, put together when the job ends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from beam_jobs import layout, storage
from beam_jobs.annotations import NOT_IMAGES, Rejection


class UnbalancedError(RuntimeError):
    """in = out + rejected does not hold: a defect of the job."""


def save_rejections(
    path: str, rejections: Iterable[Rejection]
) -> dict[str, int]:
    """Writes the rejections of one piece of work; returns counts by reason."""
    lines, counts = [], Counter[str]()
    for rejection in sorted(rejections):
        counts[rejection.reason.value] += 1
        lines.append(_to_line(rejection))
    if lines:
        storage.write_text(path, "".join(lines))
    return dict(counts)


def publish_dead_letters(dataset: str, paths: Iterable[str]) -> None:
    """Writes `dead_letters/<reason>.jsonl`, sorted, from files of all stages.

    Args:
        dataset: folder of the data set.
        paths: what `save_rejections` wrote.
    """
    lines: dict[str, list[str]] = {}
    for path in paths:
        for line in storage.read_text(path).splitlines(keepends=True):
            lines.setdefault(json.loads(line)["reason"], []).append(line)
    for reason, letters in lines.items():
        storage.write_text(
            storage.join(dataset, layout.DEAD_LETTERS, f"{reason}.jsonl"),
            "".join(sorted(letters)),
        )


def count_images(rejected: Mapping[str, int]) -> int:
    """Returns how many of the rejections stand for an image."""
    others = {reason.value for reason in NOT_IMAGES}
    return sum(n for reason, n in rejected.items() if reason not in others)


def _to_line(rejection: Rejection) -> str:
    fields = {
        "item": rejection.item,
        "reason": rejection.reason.value,
        "detail": rejection.detail,
        "path": rejection.path,
    }
    return json.dumps(fields) + "\n"
