"""A trained model -> a versioned SavedModel, published atomically."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import keras

from beam_jobs.classes import load_classes
from beam_jobs.errors import InputError
from model.scores import tagging
from model.workdir import CONFIG, WEIGHTS_SHA256
from serving.api import contract
from serving.api.version_folders import find_versions
from serving.saved_model import (
    drift_reference,
    model_card,
    served_classes,
    weight_names,
)
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.detect_signatures import DetectSignatures
from serving.saved_model.exportable import (
    Exportable,
    ExportableDetector,
    ExportableSegmenter,
    ExportableTagger,
)
from serving.saved_model.image_signatures import ImageSignatures
from serving.saved_model.load_exportable import load_exportable
from serving.saved_model.reference_options import ReferenceOptions
from serving.saved_model.segment_signatures import SegmentSignatures
from serving.saved_model.servable import Servable
from serving.saved_model.signatures import TagSignatures
from serving.saved_model.warmup import (
    sample_image,
    warmup_requests,
    write_warmup,
)


class ExportError(RuntimeError):
    """The written SavedModel differs from the model; nothing published."""


def export_model(
    model: Exportable,
    out: Path,
    *,
    top_k: int = 20,
    version: int | None = None,
    limits: ImageLimits | None = None,
    facts: Mapping[str, Any] | None = None,
    reference: ReferenceOptions | None = None,
) -> Path:
    """Writes, checks and publishes `<out>/<version>/`.

    The folder appears complete, by one rename: a server that watches `out`
    never sees half a model. Before that the warm-up requests are replayed on
    the reloaded SavedModel, and its answers are compared with the model's.

    Args:
        top_k: tags an image, at most; of taggers alone.
        version: 1 or more; by default the highest one there plus one.
        limits: of the images that are decoded.
        facts: of the training, for the model card.
        reference: images whose answers are kept for drift; of taggers alone.

    Returns:
        The version's folder.

    Raises:
        InputError: a bad option, the version exists, or no such images.
        ExportError: the reloaded model gives other answers.
    """
    out = Path(out)
    _check_options(out, top_k, version)
    target = _target(out, version)
    limits = limits or ImageLimits()
    reference = reference or ReferenceOptions()
    _check_reference(model, reference)
    signatures = _signatures(model, top_k, limits)
    card = model_card.model_card(model, top_k, limits, facts)
    out.mkdir(parents=True, exist_ok=True)
    with unpublished(out) as staging:
        _write(signatures, staging)
        _write_assets(model, card, staging / "assets")
        _write_row_wise(signatures, staging / "assets")
        if model.config:
            weight_names.write(model.weights, staging)
        write_warmup(staging, signatures.endpoints())
        check_export(staging, signatures)
        if reference.dataset is not None:
            drift_reference.write_reference(staging, reference)
        _publish(staging, target)
    return target


def export(
    workdir: Path,
    out: Path,
    *,
    top_k: int = 20,
    version: int | None = None,
    reference: ReferenceOptions | None = None,
) -> Path:
    """Exports what `tagforest train` left in a working directory.

    Args:
        workdir: with config, classes, hierarchy and weights.
        out, top_k, version, reference: see `export_model`.

    Returns:
        The version's folder.

    Raises:
        InputError: nothing trained there, a bad option, the version exists,
            or no images for the reference.
        ExportError: the reloaded model gives other answers.
    """
    # Before the weights are loaded, which takes seconds.
    _check_options(Path(out), top_k, version)
    drift_reference.check_reference(reference or ReferenceOptions())
    model = load_exportable(Path(workdir))
    facts = model_card.training_facts(Path(workdir))
    return export_model(
        model,
        out,
        top_k=top_k,
        version=version,
        facts=facts,
        reference=reference,
    )


def check_export(version_dir: Path, signatures: ImageSignatures) -> float:
    """Replays the warm-up and compares answers with the Keras model's.

    Returns:
        The largest difference; see the signatures' `difference`.

    Raises:
        ExportError: it is more than the model's tolerance.
    """
    servable = Servable(version_dir)
    if servable.warm_up() != len(warmup_requests(servable.signatures)):
        raise ExportError(f"{version_dir}: warm-up requests are missing")
    # Two, of other sizes: preprocessing is compared, too.
    images = [sample_image(), sample_image(96, 64)]
    difference = signatures.difference(servable, images)
    tolerance = signatures.model.tolerance
    if not difference <= tolerance:
        raise ExportError(
            f"the exported model's answers differ by {difference}; at most "
            f"{tolerance} is allowed, so nothing was published"
        )
    return difference


def _check_options(out: Path, top_k: int, version: int | None) -> None:
    if top_k < 1:
        raise InputError(f"top_k must be 1 or more; received: {top_k}")
    if version is not None and not 1 <= version < 2**63:
        raise InputError(
            f"a version is a whole number, 1 or more; received: {version}"
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder is needed")


def _check_reference(model: Exportable, reference: ReferenceOptions) -> None:
    drift_reference.check_reference(reference)
    if reference.dataset and not isinstance(model, ExportableTagger):
        raise InputError(
            "--reference is for taggers: drift compares shares of tags"
        )


def _target(out: Path, version: int | None) -> Path:
    if version is None:
        version = max(find_versions(out), default=0) + 1
    target = out / str(version)
    if target.exists():
        raise InputError(
            f"{target} exists; choose another version, or none for the next"
        )
    return target


@contextmanager
def unpublished(out: Path) -> Iterator[Path]:
    """Makes a folder in `out` that goes when the block ends, if still there."""
    # In `out` itself, since a rename is atomic on one file system only; the
    # dot keeps it from being taken for a version.
    staging = out / f".staging-{uuid.uuid4().hex}"
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _signatures(
    model: Exportable, top_k: int, limits: ImageLimits
) -> ImageSignatures:
    if isinstance(model, ExportableTagger):
        return TagSignatures(model, top_k, limits)
    if isinstance(model, ExportableDetector):
        return DetectSignatures(model, limits)
    return SegmentSignatures(cast(ExportableSegmenter, model), limits)


def _write(signatures: ImageSignatures, staging: Path) -> None:
    archive = keras.export.ExportArchive()
    for name, (function, spec) in signatures.endpoints().items():
        archive.add_endpoint(name, function, input_signature=spec)
    archive.write_out(str(staging), verbose=False)


def _write_assets(model: Exportable, card: str, assets: Path) -> None:
    assets.mkdir(exist_ok=True)
    model.vocabulary.save(assets / load_classes.VOCABULARY)
    model.hierarchy.save(assets / load_classes.HIERARCHY, model.vocabulary)
    if isinstance(model, ExportableTagger):
        _write_thresholds(model, assets / tagging.THRESHOLDS)
    (assets / model_card.MODEL_CARD).write_text(card, encoding="utf-8")
    # With these a training can start from it.
    if model.config:
        (assets / CONFIG).write_text(model.config, encoding="utf-8")
        digest = f"{model.weights_version}\n"
        (assets / WEIGHTS_SHA256).write_text(digest, encoding="utf-8")


def _write_row_wise(signatures: ImageSignatures, assets: Path) -> None:
    names = sorted(signatures.endpoints())
    text = json.dumps(names) + "\n"
    (assets / contract.ROW_WISE).write_text(text, encoding="utf-8")


def _write_thresholds(tagger: ExportableTagger, path: Path) -> None:
    thresholds = served_classes.thresholds_of(
        tagger.tagging, len(tagger.vocabulary)
    )
    rows = zip(tagger.vocabulary, thresholds, strict=True)
    lines = ["wnid\tthreshold", *(f"{c.wnid}\t{t:.6g}" for c, t in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _publish(staging: Path, target: Path) -> None:
    try:
        os.rename(staging, target)
    except OSError as error:
        # Onto a folder with files it fails: another export was faster.
        if not target.exists():
            raise
        raise InputError(f"{target} was written meanwhile") from error
