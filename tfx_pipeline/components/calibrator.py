"""The component that calibrates, judges and exports what was trained."""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.
import json
import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelRun
from tfx.utils import path_utils

from beam_jobs.dataset import dataset_folder as layout
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.errors import InputError
from model import workdir
from model.evaluation.evaluate import FOLDER, evaluate
from model.network.options import BatchOptions
from model.scores.calibrate import calibrate
from model.scores.options import CalibrateOptions
from serving.saved_model.export import export
from serving.saved_model.reference_options import ReferenceOptions
from tfx_pipeline.code_digest import versions
from tfx_pipeline.components.dataset_gen import dataset_folder
from tfx_pipeline.components.trainer import link_run
from tfx_pipeline.places import local_path

NOT_CALIBRATED = "not_calibrated"
_RUN = "run"


@component
def Calibrator(  # noqa: N802 (TFX names a component like a class)
    examples: InputArtifact[Examples],
    model_run: InputArtifact[ModelRun],
    code: Parameter[str],
    model: OutputArtifact[Model],
) -> None:
    """Fits probabilities and thresholds, evaluates, and exports.

    Before the export, so that its model card has the figures.

    Args:
        code: digest of what all of it depends on. Not read.
        model: the SavedModel, and in `run` beside it a working directory, as
            `tagforest train`, `calibrate` and `evaluate` leave one.
    """
    dataset = dataset_folder(examples.uri)
    run = run_folder(model.uri)
    link_run(local_path(model_run.uri), run)
    why_not = _calibrate(run, dataset)
    if why_not:
        print(f"not calibrated: {why_not}", flush=True)
        model.set_string_custom_property(NOT_CALIBRATED, why_not)
    evaluation = evaluate(run, dataset, options=BatchOptions(progress=False))
    target = local_path(path_utils.serving_model_dir(model.uri))
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name("export")
    # What it answers to images that it has not learned, for `drift`.
    reference = ReferenceOptions(str(dataset), layout.VALIDATION)
    export(run, staging, reference=reference).rename(target)
    shutil.rmtree(staging)
    weights = (target / "assets" / workdir.WEIGHTS_SHA256).read_text().strip()
    figures = {name: c.model for name, c in evaluation.figures.items()}
    facts = {
        "weights": weights,
        "figures": json.dumps(figures, sort_keys=True),
        "code": code,
        "versions": json.dumps(versions(), sort_keys=True),
        "fingerprint": Manifest.load(dataset).fingerprint,
        "config": (run / workdir.CONFIG).read_text(encoding="utf-8"),
    }
    for name, value in facts.items():
        model.set_string_custom_property(name, value)


def run_folder(uri: str) -> Path:
    """Returns the working directory within a Model artifact."""
    return local_path(uri) / _RUN


def report_path(uri: str) -> Path:
    """Returns the evaluation's JSON within a Model artifact."""
    return run_folder(uri) / FOLDER / f"{layout.VALIDATION}.json"


def _calibrate(run: Path, dataset: Path) -> str:
    """Calibrates; returns why not, if it cannot be done."""
    if layout.CALIBRATION not in Manifest.load(dataset).splits:
        return (
            "the data set has no calibration split; `--splits "
            "train=0.8,validation=0.1,calibration=0.1` makes one"
        )
    try:
        calibrate(run, dataset, CalibrateOptions(progress=False))
    # Too few labels for a fit: said, and the scores stay as they are.
    except InputError as error:
        return str(error)
    return ""
