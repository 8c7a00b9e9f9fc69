"""Which options go with what a model does, and what they do to answers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.drawn import Detection, Segmentation
from serving.api.prediction import Prediction, TaggedImage
from serving.api.tag_options import TagOptions
from serving.client.client_options import TagRun
from serving.client.forms import nothing_of

_DIGITS = 8  # of a name's digest: images of one name in two folders
_WORDS = {
    contract.TAGS: "tags images",
    contract.DETECT: "finds boxes",
    contract.SEGMENT: "makes masks",
}


def may_depend_on_task(run: TagRun) -> bool:
    """Returns whether there are options that not every model takes."""
    asked = run.options is not None or run.masks is not None
    return asked or run.leaves or run.sidecars.xmp


def check_options(run: TagRun, task: str, address: str) -> None:
    """Refuses options that a model does not take.

    Args:
        task: see `TagClient.task`.
        address: of its server.

    Raises:
        InputError: --masks without masks, or --xmp or a choice of tags
            without tags.
    """
    does = f"the model at {address} {_WORDS[task]}"
    if run.masks is not None and task != contract.SEGMENT:
        raise InputError(f"--masks takes the masks of a segmenter; {does}")
    if task == contract.TAGS:
        return
    if run.sidecars.xmp:
        raise InputError(f"--xmp takes the tags of a tagger; {does}")
    options = run.options
    if task == contract.DETECT and options is not None:
        others = replace(
            options, min_confidence=None, max_labels=TagOptions().max_labels
        )
        if options.min_confidence is not None and others == TagOptions():
            options = None
    if options is not None or run.leaves:
        taken = "--top"
        if task == contract.DETECT:
            taken += " and --min-confidence"
        raise InputError(
            f"{does}: of the options on tags it takes {taken} alone"
        )


def chosen(run: TagRun, found: TaggedImage, task: str) -> TaggedImage:
    """Returns what is shown of an image; writes its mask where one is wanted.

    Args:
        task: of the model, for images that it has not seen.

    Raises:
        InputError: the mask cannot be written.
    """
    answer = found.prediction
    if not answer.valid:
        nothing = nothing_of(task)
        versions = answer.model_version, answer.vocabulary_version
        answer = replace(
            nothing, model_version=versions[0], vocabulary_version=versions[1]
        )
    if isinstance(answer, Prediction) and run.leaves:
        answer = answer.leaves()
    if isinstance(answer, Detection) and run.options is not None:
        answer = answer.over(run.options.min_confidence or 0.0)
    mask = ""
    if isinstance(answer, Segmentation) and run.masks and answer.valid:
        mask = str(_write_mask(run.masks, found.name, answer.mask))
    return replace(found, prediction=answer.top(run.most), mask=mask)


def _write_mask(folder: Path, name: str, mask: bytes) -> Path:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape"))
    stem = re.sub(r"[^\w.-]+", "_", Path(name).stem)[:100]
    path = folder / f"{stem}-{digest.hexdigest()[:_DIGITS]}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mask)
    except OSError as error:
        raise InputError(f"--masks: cannot write {path}: {error}") from error
    return path
