"""A trained tagger -> a folder with it in another format, and a proof."""

from __future__ import annotations

import importlib
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files import storage
from beam_jobs.statistics import counts as statistics
from serving.formats import check_images, labels, openvino_file, parity
from serving.formats.graph import check_tagger, graph, reference
from serving.formats.kinds import KINDS, OPENVINO, PLAIN
from serving.formats.options import FormatOptions
from serving.formats.parity import LIMITS, PARITY, Parity, Run
from serving.saved_model.export import unpublished
from serving.saved_model.exportable import Exportable, ExportableTagger
from serving.saved_model.load_exportable import load_exportable
from serving.saved_model.served_classes import thresholds_of


class NotEqualError(JobFailedError):
    """The format's answers are beyond its limits; nothing was written."""

    # As of a model that the pipeline's gate refuses.
    status = 4


def export(workdir: Path, out: Path, options: FormatOptions) -> str:
    """Writes a training's tagger in another format; see `export_model`.

    Raises:
        InputError: no tagger there, or `out` is in use.
        NotEqualError: the answers are too far from TensorFlow's.
    """
    return export_model(load_exportable(workdir), out, options)


def export_model(model: Exportable, out: Path, options: FormatOptions) -> str:
    """Writes model, names, settings and `parity.json` into `out`.

    The folder appears complete, by one rename, once the written model has
    been run beside TensorFlow.

    Returns:
        The certificate, as lines of text.

    Raises:
        InputError: no tagger, or `out` is in use.
        NotEqualError: the answers are too far from TensorFlow's.
    """
    tagger = check_tagger(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with unpublished(out.parent) as folder:
        path = _module(options).write(
            graph(tagger, options.layout),
            folder,
            options.precision,
            _laid_out(check_images.sample(tagger, options), options.layout),
        )
        found = _compare(tagger, path, options, _module(options).opened(path))
        _refuse(found, options)
        labels.write(tagger, folder, options, _counts(tagger, options))
        _write_parity(tagger, path, options, found)
        _publish(folder, out)
    return _certificate(found, options)


def _module(options: FormatOptions) -> Any:
    # Packages of other formats may be missing.
    return importlib.import_module(f"serving.formats.{options.format}_file")


def _compare(
    tagger: ExportableTagger, path: Path, options: FormatOptions, run: Run
) -> Parity:
    theirs = reference(tagger)
    thresholds = thresholds_of(tagger.tagging, len(tagger.vocabulary))
    return parity.compare(
        check_images.batches(tagger, options),
        lambda images: theirs(tf.constant(images)).numpy(),
        lambda pixels: run(_laid_out(pixels, options.layout)),
        thresholds.astype(np.float32),
    )


def _laid_out(pixels: np.ndarray, layout: str) -> np.ndarray:
    """Returns RGB pixels as a layout's graph takes them."""
    if layout == PLAIN:
        return pixels
    return np.ascontiguousarray(pixels[..., ::-1], np.float32)


def _refuse(found: Parity, options: FormatOptions) -> None:
    beyond = found.beyond(LIMITS[options.precision])
    if beyond:
        raise NotEqualError(
            f"{options.format} {options.precision} on {found.images} "
            f"{check_images.describe(options)}: {'; '.join(beyond)}; nothing "
            "was written"
        )


def _counts(tagger: ExportableTagger, options: FormatOptions) -> np.ndarray:
    nothing = np.zeros(len(tagger.vocabulary), int)
    if options.dataset is None:
        return nothing
    folder = storage.join(options.dataset, dataset_folder.STATISTICS)
    if not storage.exists(storage.join(folder, statistics.STATISTICS_FILE)):
        return nothing
    return statistics.load_images_per_class(
        options.dataset, dataset_folder.TRAIN, tagger.vocabulary
    )


def _write_parity(
    tagger: ExportableTagger, path: Path, options: FormatOptions, found: Parity
) -> None:
    packages = ("tensorflow", *KINDS[options.format].packages)
    told = {
        "format": options.format,
        "precision": options.precision,
        "compared_on": check_images.describe(options),
        **parity.to_json(found, LIMITS[options.precision]),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "packages": {name: version(name) for name in packages},
        "model_version": tagger.weights_version,
        "vocabulary_version": tagger.vocabulary.fingerprint,
    }
    if options.format == OPENVINO:
        told["run_with"] = openvino_file.RUN_WITH
        told["as_it_comes"] = _as_it_comes(tagger, path, options)
    text = json.dumps(told, indent=2, sort_keys=True)
    (path.parent / PARITY).write_text(text + "\n", encoding="utf-8")


def _as_it_comes(
    tagger: ExportableTagger, path: Path, options: FormatOptions
) -> dict[str, Any]:
    """Returns what users get who run an OpenVINO file without settings."""
    try:
        run: Callable = openvino_file.opened(path, as_it_comes=True)
    # OpenVINO 2026.4 has no 8-bit kernels beside bfloat16 where a CPU has AMX.
    except RuntimeError as error:
        return {"error": str(error).strip().splitlines()[-1]}
    found = _compare(tagger, path, options, cast(Run, run))
    told = parity.to_json(found, LIMITS[options.precision])
    return {name: value for name, value in told.items() if name != "limits"}


def _publish(folder: Path, out: Path) -> None:
    try:
        os.replace(folder, out)
    except OSError as error:
        raise InputError(f"{out} was written meanwhile: {error}") from error


def _certificate(found: Parity, options: FormatOptions) -> str:
    name = f"{options.format} {options.precision}"
    lines = [
        f"{name} beside TensorFlow, on {found.images} "
        f"{check_images.describe(options)}:",
        parity.table(found, LIMITS[options.precision], options.format),
    ]
    if options.format == OPENVINO:
        lines.append(
            "  compiled with INFERENCE_PRECISION_HINT f32, as settings.json "
            "says; without it OpenVINO may compute in bfloat16, see as_it_comes"
            f" in {PARITY}"
        )
    return "\n".join(lines)
