"""A request log against an export's reference, from files to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from model.workdir import WEIGHTS_SHA256
from serving.api.version_folders import (
    SAVED_MODEL_FILE,
    require_versions,
    version_paths,
)
from serving.drift.compare import Comparison, compare
from serving.drift.options import DriftOptions
from serving.drift.read_log import ReadLog, Served, log_files, read_log
from serving.traffic.tallies import REFERENCE, Tally


@dataclass(frozen=True)
class Drift:
    """What was compared, and what was found.

    Attributes:
        reference: counts of held-out images, or of a log of good days.
        about: facts on the reference, for people.
        read: the window.
    """

    reference: Tally
    about: str
    read: ReadLog
    comparison: Comparison


def find_drift(
    log: Path, model: Path, options: DriftOptions | None = None
) -> Drift:
    """Compares what a model answers now with what it answered then.

    Args:
        log: that `tagforest serve --request-log` writes.
        model: a version's folder, or the base folder, whose highest version
            is meant.

    Raises:
        InputError: no such log or model, the model has no reference and none
            is given, or too few images.
    """
    options = options or DriftOptions()
    log_files(log)
    version = version_of(model)
    assets = version / "assets"
    vocabulary, hierarchy = load_classes.load_folder(assets)
    reference, about = _reference(assets, vocabulary, hierarchy, options)
    window = Tally(vocabulary, hierarchy)
    read = read_log(log, window, options.window, _served(version))
    try:
        found = compare(reference, window, vocabulary, hierarchy, options)
    except InputError as error:
        raise InputError(f"{error}; of {log}: {describe_read(read)}") from error
    return Drift(reference, about, read, found)


def version_of(model: Path) -> Path:
    """Returns a version's folder; of a base folder, that of the highest.

    Raises:
        InputError: there is none, or it has no classes.
    """
    if (model / SAVED_MODEL_FILE).is_file():
        version = model
    else:
        version = version_paths(model)[max(require_versions(model))]
    if not (version / "assets" / load_classes.VOCABULARY).is_file():
        raise InputError(
            f"{version} has no {load_classes.VOCABULARY} in its assets; "
            "`tagforest export` writes a model with its classes"
        )
    return version


def describe_read(read: ReadLog) -> str:
    """Returns how many lines counted, and why others did not."""
    reasons = ", ".join(
        f"{count:,} {reason.replace('_', ' ')}"
        for reason, count in sorted(read.rejected.items())
    )
    left_out = sum(read.rejected.values())
    return (
        f"{read.lines:,} lines = {read.used:,} requests used + "
        f"{left_out:,} left out" + (f" ({reasons})" if reasons else "")
    )


def _served(version: Path) -> Served:
    weights = version / "assets" / WEIGHTS_SHA256
    return Served(
        version=int(version.name) if version.name.isdigit() else None,
        weights=weights.read_text().strip() if weights.is_file() else "",
    )


def _reference(
    assets: Path,
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    options: DriftOptions,
) -> tuple[Tally, str]:
    if options.reference is not None:
        # Of any version: two may be compared, too.
        read = read_log(options.reference, Tally(vocabulary, hierarchy))
        return read.tally, f"{options.reference}: {describe_read(read)}"
    path = assets / REFERENCE
    if not path.is_file():
        raise InputError(
            f"{path} is not there; export with --reference DATASET, or give a "
            "request log of good days with --reference LOG"
        )
    tally, about = Tally.load(path, vocabulary, hierarchy)
    return tally, _in_words(about)


def _in_words(about: Mapping[str, Any]) -> str:
    return f"{about['images']:,} {about['split']} images of {about['data_set']}"
