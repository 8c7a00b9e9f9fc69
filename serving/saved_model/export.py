"""A trained tagger -> a versioned SavedModel, published atomically."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.errors import InputError
from model.inputs.preprocessing import decode_and_resize
from model.network.load_tagger import load_tagger, weights_fingerprint
from model.scores import tagging
from model.start.load_weights import named_weights
from model.workdir import CONFIG, WEIGHTS_SHA256
from serving.api import contract
from serving.api.version_folders import find_versions
from serving.saved_model import model_card, served_classes, weight_names
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.servable import Servable
from serving.saved_model.signatures import ExportableTagger, TagSignatures
from serving.saved_model.warmup import (
    sample_image,
    warmup_requests,
    write_warmup,
)

# bfloat16 has 8 bits: fused and single ops round at different places.
_MIXED_PRECISION_TOLERANCE = 2e-2


class ExportError(RuntimeError):
    """The written SavedModel differs from the model; nothing published."""


def export_tagger(
    tagger: ExportableTagger,
    out: Path,
    *,
    top_k: int = 20,
    version: int | None = None,
    limits: ImageLimits | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Writes, checks and publishes `<out>/<version>/`.

    The folder appears complete, by one rename: a server that watches `out`
    never sees half a model. Before that the warm-up requests are replayed on
    the reloaded SavedModel, and its scores are compared with the model's.

    Args:
        top_k: tags an image, at most.
        version: 1 or more; by default the highest one there plus one.
        limits: of the images that are decoded.
        facts: of the training, for the model card.

    Returns:
        The version's folder.

    Raises:
        InputError: a bad option, or the version exists.
        ExportError: the reloaded model gives other scores.
    """
    out = Path(out)
    _check_options(out, top_k, version)
    target = _target(out, version)
    limits = limits or ImageLimits()
    signatures = TagSignatures(tagger, top_k, limits)
    card = model_card.model_card(tagger, top_k, limits, facts)
    out.mkdir(parents=True, exist_ok=True)
    with _staging(out) as staging:
        _write(signatures, staging)
        _write_assets(tagger, card, staging / "assets")
        if tagger.config:
            weight_names.write(tagger.weights, staging)
        write_warmup(staging)
        check_export(staging, tagger)
        _publish(staging, target)
    return target


def export(
    workdir: Path,
    out: Path,
    *,
    top_k: int = 20,
    version: int | None = None,
) -> Path:
    """Exports what `tagforest train` left in a working directory.

    Args:
        workdir: with config, classes, hierarchy and weights.
        out, top_k, version: see `export_tagger`.

    Returns:
        The version's folder.

    Raises:
        InputError: nothing trained there, a bad option, or the version
            exists.
        ExportError: the reloaded model gives other scores.
    """
    # Before the weights are loaded, which takes seconds.
    _check_options(Path(out), top_k, version)
    tagger = load_exportable(Path(workdir))
    facts = model_card.training_facts(Path(workdir))
    return export_tagger(tagger, out, top_k=top_k, version=version, facts=facts)


def load_exportable(workdir: Path) -> ExportableTagger:
    """Loads a trained tagger with its classes and its preprocessing.

    Its calibration and thresholds too, where `tagforest calibrate` has run.

    Raises:
        InputError: nothing trained there, or a calibration of other weights.
    """
    tagger: Any = load_tagger(workdir)
    data = tagger.config.data
    vocabulary, hierarchy = load_classes.load_folder(workdir)
    weights = weights_fingerprint(tagger)
    exact = tagger.config.network.precision == "float32"
    return ExportableTagger(
        logits=partial(tagger, training=False),
        embed=partial(tagger.embed, training=False),
        preprocess=partial(
            decode_and_resize,
            image_size=data.image_size,
            crop_fraction=data.crop_fraction,
        ),
        image_size=data.image_size,
        vocabulary=vocabulary,
        hierarchy=hierarchy,
        tagging=tagging.load(workdir, vocabulary, weights),
        weights_version=weights,
        tolerance=1e-5 if exact else _MIXED_PRECISION_TOLERANCE,
        config=tagger.config.to_json(),
        weights=named_weights(tagger),
        one_class=tagger.one_class,
    )


def check_export(version_dir: Path, tagger: ExportableTagger) -> float:
    """Replays the warm-up and compares scores with the Keras model's.

    Returns:
        The largest difference of a score.

    Raises:
        ExportError: it is more than the tagger's tolerance.
    """
    servable = Servable(version_dir)
    if servable.warm_up() != len(warmup_requests()):
        raise ExportError(f"{version_dir}: warm-up requests are missing")
    # Two, of other sizes: preprocessing is compared, too.
    images = [sample_image(), sample_image(96, 64)]
    served = servable.run(
        contract.SCORES, {contract.IMAGE_BYTES: np.array(images, object)}
    )
    expected = _keras_scores(tagger, images)
    difference = float(np.max(np.abs(served[contract.RAW_SCORES] - expected)))
    if not served[contract.VALID].all() or not difference <= tagger.tolerance:
        raise ExportError(
            f"the exported model's scores differ by {difference}; at most "
            f"{tagger.tolerance} is allowed, so nothing was published"
        )
    return difference


def _keras_scores(tagger: ExportableTagger, images: list[bytes]) -> np.ndarray:
    pixels = tf.stack([tagger.preprocess(tf.constant(i)) for i in images])
    logits = tagger.logits(pixels)
    return tagger.scores(tf.cast(logits, tf.float32)).numpy()


def _check_options(out: Path, top_k: int, version: int | None) -> None:
    if top_k < 1:
        raise InputError(f"top_k must be 1 or more; received: {top_k}")
    if version is not None and not 1 <= version < 2**63:
        raise InputError(
            f"a version is a whole number, 1 or more; received: {version}"
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder is needed")


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
def _staging(out: Path) -> Iterator[Path]:
    # In `out` itself, since a rename is atomic on one file system only; the
    # dot keeps it from being taken for a version.
    staging = out / f".staging-{uuid.uuid4().hex}"
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(signatures: TagSignatures, staging: Path) -> None:
    archive = keras.export.ExportArchive()
    for name, (function, spec) in signatures.endpoints().items():
        archive.add_endpoint(name, function, input_signature=spec)
    archive.write_out(str(staging), verbose=False)


def _write_assets(tagger: ExportableTagger, card: str, assets: Path) -> None:
    assets.mkdir(exist_ok=True)
    tagger.vocabulary.save(assets / load_classes.VOCABULARY)
    tagger.hierarchy.save(assets / load_classes.HIERARCHY, tagger.vocabulary)
    thresholds = served_classes.thresholds_of(
        tagger.tagging, len(tagger.vocabulary)
    )
    rows = zip(tagger.vocabulary, thresholds, strict=True)
    lines = ["wnid\tthreshold", *(f"{c.wnid}\t{t:.6g}" for c, t in rows)]
    text = "\n".join(lines) + "\n"
    (assets / tagging.THRESHOLDS).write_text(text, encoding="utf-8")
    (assets / model_card.MODEL_CARD).write_text(card, encoding="utf-8")
    # With these a training can start from it.
    if tagger.config:
        (assets / CONFIG).write_text(tagger.config, encoding="utf-8")
        digest = f"{tagger.weights_version}\n"
        (assets / WEIGHTS_SHA256).write_text(digest, encoding="utf-8")


def _publish(staging: Path, target: Path) -> None:
    try:
        os.rename(staging, target)
    except OSError as error:
        # Onto a folder with files it fails: another export was faster.
        if not target.exists():
            raise
        raise InputError(f"{target} was written meanwhile") from error
