"""Corrections that `relabel` is given, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.options import RelabelOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection, save_rejections
from beam_jobs.sources.corrections import read_files

_REGION_PARTS = ("images", "sources")


@dataclass(frozen=True)
class Given:
    """Corrections, by class index by image id, and their dead letters."""

    corrections: dict[str, dict[int, float]] = field(default_factory=dict)
    letters: list[Rejection] = field(default_factory=list)


def read_given(
    options: RelabelOptions, source: Manifest, vocabulary: Vocabulary
) -> Given:
    """Reads the corrections before the job.

    Raises:
        InputError: malformed, switched off too, or of boxes and masks.
    """
    if not options.corrections:
        return Given()
    if Source.CORRECTIONS in options.without_sources:
        raise InputError(
            "--corrections and --without-source corrections exclude each other"
        )
    images, sources = (source.options.get(k) or {} for k in _REGION_PARTS)
    if images.get("boxes") or sources.get("masks"):
        raise InputError(
            "--corrections are of labels, not of boxes and masks, which "
            f"{options.dataset} holds"
        )
    return Given(*read_files(options.corrections, vocabulary))


def save_letters(
    corrected: Collection[str], out: str, given: Given
) -> tuple[dict[str, int], str]:
    """Writes the dead letters of corrections, of images there are not too.

    Args:
        corrected: ids of images that were found.
        out: folder of the new data set.
        given: the corrections.

    Returns:
        Rejections by reason, and the file of them.
    """
    detail = "a correction names it, and it is not in the data set"
    missing = [
        Rejection(Reason.MISSING_IMAGE, image_id, detail)
        for image_id in sorted(given.corrections.keys() - set(corrected))
    ]
    work = storage.join(out, dataset_folder.WORK)
    path = storage.join(work, "corrections.jsonl")
    return save_rejections(path, [*given.letters, *missing]), path
