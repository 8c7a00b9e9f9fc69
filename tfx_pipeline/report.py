"""What each component did, read from the metadata and the artifacts."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from ml_metadata import proto as mlmd
from ml_metadata.metadata_store import MetadataStore
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from beam_jobs.dataset.manifest import Manifest
from model.evaluation.gate import FIGURES
from tfx_pipeline import names
from tfx_pipeline.components.calibrator import NOT_CALIBRATED
from tfx_pipeline.components.data_gate import IMAGES
from tfx_pipeline.components.dataset_gen import dataset_folder
from tfx_pipeline.components.model_gate import REASON
from tfx_pipeline.components.pusher import DESTINATION, IS_NEW

# The artifacts that an execution put out, by name; each has one at most.
Outputs = Mapping[str, mlmd.Artifact]


@dataclass(frozen=True)
class Step:
    """The last execution of a component.

    Attributes:
        component: its id.
        cached: whether the result of an earlier run was used.
        outputs: its artifacts.
    """

    component: str
    cached: bool
    outputs: Outputs

    @property
    def summary(self) -> str:
        """What it did, in one line."""
        return _SUMMARIES[self.component](self.outputs)


@dataclass(frozen=True)
class Result:
    """What came out of a run.

    Attributes:
        figures: of the new model, by the names of the model gate.
        blessed: whether both gates let it through.
        reasons: why not, a line each.
        pushed_to: folder of the version that is served; None if none was
            pushed.
        is_new: whether it was not there before.
        not_calibrated: why not; empty if it is.
        tagged: images that were tagged with it.
    """

    figures: Mapping[str, float]
    blessed: bool
    reasons: Sequence[str]
    pushed_to: str | None
    is_new: bool
    not_calibrated: str = ""
    tagged: int = 0


def open_store(root: str | os.PathLike[str]) -> MetadataStore:
    """Returns the metadata store below a pipeline's root folder."""
    path = str(Path(root) / names.METADATA)
    return MetadataStore(sqlite_metadata_connection_config(path))


def pipeline_runs(store: MetadataStore) -> list[mlmd.Context]:
    """Returns all runs, parts of the pipeline too, oldest first."""
    runs = store.get_contexts_by_type("pipeline_run")
    return sorted(runs, key=lambda run: run.id)


def last_step(store: MetadataStore, component: str) -> Step:
    """Returns the last execution of a component.

    Raises:
        LookupError: it never ran.
    """
    context = store.get_context_by_type_and_name(
        "node", f"{names.PIPELINE_NAME}.{component}"
    )
    executions = store.get_executions_by_context(context.id) if context else []
    if not executions:
        raise LookupError(f"{component} has not run yet")
    last = max(executions, key=lambda execution: execution.id)
    cached = last.last_known_state == mlmd.Execution.CACHED
    return Step(component, cached, _outputs(store, last.id))


def read_result(root: str | os.PathLike[str]) -> Result:
    """Returns what came out of the last run below a root folder."""
    store = open_store(root)

    def last(component: str, output: str) -> mlmd.Artifact:
        return last_step(store, component).outputs[output]

    model = last(names.CALIBRATOR, "model")
    pushed = last(names.PUSHER, "pushed_model")
    reasons = reasons_against(store)
    figures = json.loads(text_of(model, "figures"))
    with contextlib.suppress(LookupError):
        tagged = last(names.TAGGING, "answers")
        return Result(
            tagged=int(_number(tagged, "images")),
            **_outcome(figures, reasons, pushed, model),
        )
    return Result(**_outcome(figures, reasons, pushed, model))


def reasons_against(
    store: MetadataStore,
    gates: Sequence[str] = (names.MODEL_GATE, names.SERVE_CHECK),
) -> list[str]:
    """Returns why the first of the gates to refuse the last model did."""
    for gate in gates:
        verdict = last_step(store, gate).outputs[_VERDICTS[gate]]
        if text := text_of(verdict, REASON):
            return text.split("; ")
    return []


_VERDICTS = {names.MODEL_GATE: "blessing", names.SERVE_CHECK: "infra_blessing"}


def _outcome(
    figures: Mapping[str, float],
    reasons: Sequence[str],
    pushed: mlmd.Artifact,
    model: mlmd.Artifact,
) -> dict[str, Any]:
    return {
        "figures": {name: figures[name] for name in FIGURES},
        "blessed": not reasons,
        "reasons": reasons,
        "pushed_to": text_of(pushed, DESTINATION) or None,
        "is_new": bool(_number(pushed, IS_NEW)),
        "not_calibrated": text_of(model, NOT_CALIBRATED),
    }


def _outputs(store: MetadataStore, execution_id: int) -> Outputs:
    events = store.get_events_by_execution_ids([execution_id])
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in events
        if event.type in _PUT_OUT
    }
    artifacts = store.get_artifacts_by_id(list(keys))
    return {keys[artifact.id]: artifact for artifact in artifacts}


_PUT_OUT = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)


def text_of(artifact: mlmd.Artifact, name: str) -> str:
    """Returns a custom property; empty where there is none."""
    return artifact.custom_properties[name].string_value


def _number(artifact: mlmd.Artifact, name: str) -> float:
    value = artifact.custom_properties[name]
    return value.int_value or value.double_value


def _dataset_summary(outputs: Outputs) -> str:
    manifest = Manifest.load(dataset_folder(outputs["examples"].uri))
    splits = manifest.splits.items()
    counts = [f"{found['images']} {split}" for split, found in splits]
    return (
        f"{' + '.join(counts)} records, {manifest.classes['count']} classes, "
        f"{manifest.images['rejected']} images rejected"
    )


def _statistics_summary(outputs: Outputs) -> str:
    return f"in {outputs['statistics'].uri}"


def _schema_summary(outputs: Outputs) -> str:
    path = Path(outputs["schema"].uri) / "schema.pbtxt"
    return f"{len(tfdv.load_schema_text(str(path)).feature)} features"


def _validator_summary(outputs: Outputs) -> str:
    return f"in {outputs['anomalies'].uri}"


def _gate_summary(outputs: Outputs) -> str:
    return f"{_number(outputs['verdict'], IMAGES):.0f} images accepted"


def _trainer_summary(outputs: Outputs) -> str:
    return f"logs in {outputs['model_run'].uri}"


def _calibrator_summary(outputs: Outputs) -> str:
    why_not = text_of(outputs["model"], NOT_CALIBRATED)
    figures = json.loads(text_of(outputs["model"], "figures"))
    shown = ", ".join(f"{n} {figures[k]:.3f}" for k, n in FIGURES.items())
    return f"{shown}, {'not calibrated' if why_not else 'calibrated'}"


def _resolver_summary(outputs: Outputs) -> str:
    return outputs["model"].uri if "model" in outputs else "none yet"


def _evaluator_summary(outputs: Outputs) -> str:
    return f"in {outputs['evaluation'].uri}"


def _model_gate_summary(outputs: Outputs) -> str:
    return _verdict(outputs["blessing"])


def _serve_check_summary(outputs: Outputs) -> str:
    found = outputs["infra_blessing"]
    if not _number(found, "latency_ms"):
        return _verdict(found)
    return (
        f"{_verdict(found)}; {_number(found, 'latency_ms'):.1f} ms an image, "
        f"{_number(found, 'memory_mb'):.0f} MB"
    )


def _verdict(artifact: mlmd.Artifact) -> str:
    if _number(artifact, "blessed") == 1:
        return "blessed"
    return f"not blessed: {text_of(artifact, REASON)}"


def _pusher_summary(outputs: Outputs) -> str:
    pushed = outputs["pushed_model"]
    destination = text_of(pushed, DESTINATION)
    if not destination:
        return "nothing pushed"
    return destination if _number(pushed, IS_NEW) else f"as in {destination}"


def _tagging_summary(outputs: Outputs) -> str:
    found = outputs["answers"]
    return (
        f"{_number(found, 'images'):.0f} images tagged, "
        f"{_number(found, 'rejected'):.0f} rejected: {found.uri}"
    )


_SUMMARIES = {
    names.DATASET_GEN: _dataset_summary,
    names.SCHEMA_GEN: _schema_summary,
    names.STATISTICS_GEN: _statistics_summary,
    names.EXAMPLE_VALIDATOR: _validator_summary,
    names.DATA_GATE: _gate_summary,
    names.TRAINER: _trainer_summary,
    names.CALIBRATOR: _calibrator_summary,
    names.RESOLVER: _resolver_summary,
    names.EVALUATOR: _evaluator_summary,
    names.MODEL_GATE: _model_gate_summary,
    names.SERVE_CHECK: _serve_check_summary,
    names.PUSHER: _pusher_summary,
    names.TAGGING: _tagging_summary,
}
