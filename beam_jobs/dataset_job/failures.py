"""A data set job that ends without a data set: why, and what may help."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files import storage
from beam_jobs.rejections import DEAD_LETTERS, Reason, publish_dead_letters

_CURES = {
    Reason.MISSING_IMAGE: "is --images the folder that the names start from?",
    Reason.NO_ANNOTATION: "are the label column and the images' ids right?",
    Reason.NO_LABEL_IN_VOCABULARY: (
        "`tagforest classes` shows what each name becomes"
    ),
    Reason.NOT_AN_IMAGE: "were pages saved in place of images?",
}
_NAMED = 3


def check_read(
    out: str,
    partitions: Iterable,
    rejected: Mapping[str, int],
    files: Iterable[str],
) -> None:
    """Checks that the sources gave rows, and that no file was lost whole.

    Args:
        out: folder of the data set; the dead letters go there on failure.
        partitions: those with rows.
        rejected: by reason.
        files: of the rejections.

    Raises:
        JobFailedError: they did not; says why.
    """
    lost = Reason.UNREADABLE_SOURCE.value
    if rejected.get(lost):
        publish_dead_letters(out, files)
        letters = _letters(out, lost)
        raise JobFailedError(
            "; ".join(f"{one['item']}: {one['detail']}" for one in letters)
        )
    if not partitions:
        publish_dead_letters(out, files)
        raise nothing_left(out, rejected)


def check_left(out: str, images: int, rejected: Mapping[str, int]) -> None:
    """Checks that a finished data set has images; else it is none.

    Raises:
        JobFailedError: there is no image; the dead letters stay.
    """
    if not images:
        storage.remove(storage.join(out, dataset_folder.MANIFEST))
        raise nothing_left(out, rejected)


@contextlib.contextmanager
def letters_kept(out: str, files: Iterable[str]) -> Iterator[None]:
    """Publishes the dead letters that there are before a refusal goes on."""
    try:
        yield
    except InputError:
        publish_dead_letters(out, files)
        raise


def nothing_left(out: str, rejected: Mapping[str, int]) -> JobFailedError:
    """Returns the error of a job whose every image was rejected."""
    if not rejected:
        return JobFailedError("no image is left: the sources name none")
    counts = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(f"{count} x {reason}" for reason, count in counts)
    reason = counts[0][0]
    first = next(iter(_letters(out, reason)), None)
    parts = [f"no image is left: {said}"]
    if first:
        parts.append(f"first {first['item']}: {first['detail']}")
        if reason == Reason.MISSING_IMAGE.value and first["path"]:
            parts.append(f"looked for {first['path']}{_beside(first['path'])}")
    if reason in _CURES:
        parts.append(_CURES[Reason(reason)])
    parts.append(f"see {storage.join(out, DEAD_LETTERS)}")
    return JobFailedError("; ".join(parts))


def _letters(out: str, reason: str) -> list[dict[str, str]]:
    path = storage.join(out, DEAD_LETTERS, f"{reason}.jsonl")
    if not storage.exists(path):
        return []
    lines = storage.read_text(path).splitlines()[:_NAMED]
    return [json.loads(line) for line in lines]


def _beside(path: str) -> str:
    """Says what there is instead of a file that is not there."""
    if storage.is_remote(path):
        return ""
    wanted = Path(path)
    folder = wanted.parent
    while not folder.is_dir():
        folder = folder.parent
    with os.scandir(folder) as entries:
        like = sorted(
            entry.path
            for entry in entries
            if entry.is_file() and _same_name(entry.name, wanted)
        )
    if like:
        return f" (did you mean {like[0]}?)"
    return "" if folder == wanted.parent else f" (no folder {wanted.parent})"


def _same_name(name: str, wanted: Path) -> bool:
    lower = name.lower()
    stem = os.path.splitext(lower)[0]
    return wanted.name.lower() in (lower, stem) or wanted.stem.lower() == stem
