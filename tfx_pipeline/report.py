"""What each component did, read from the metadata and the artifacts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
from ml_metadata import proto as mlmd
from ml_metadata.metadata_store import MetadataStore
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from beam_jobs.dataset.manifest import Manifest
from tfx_pipeline import names as configs
from tfx_pipeline.dataset_gen import SPLITS, dataset_folder

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
        f1: F1@5 of the new model over the validation split.
        baseline_f1: the last blessed model's, on the same records; None if
            there was none.
        blessed: whether the new model was good enough.
        pushed_to: folder of the pushed version; None if it was not pushed.
        anomalies: features with values that break the schema.
    """

    f1: float
    baseline_f1: float | None
    blessed: bool
    pushed_to: str | None
    anomalies: tuple[str, ...]


def open_store(root: str | os.PathLike[str]) -> MetadataStore:
    """Returns the metadata store below a pipeline's root folder."""
    path = str(Path(root) / configs.METADATA)
    return MetadataStore(sqlite_metadata_connection_config(path))


def last_step(store: MetadataStore, component: str) -> Step:
    """Returns the last execution of a component.

    Raises:
        LookupError: it never ran.
    """
    context = store.get_context_by_type_and_name(
        "node", f"{configs.PIPELINE_NAME}.{component}"
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
    evaluation = last_step(store, configs.EVALUATOR).outputs
    pushed = last_step(store, configs.PUSHER).outputs["pushed_model"]
    anomalies = last_step(store, configs.EXAMPLE_VALIDATOR).outputs
    f1, baseline_f1 = _f1(evaluation["evaluation"].uri)
    return Result(
        f1=f1,
        baseline_f1=baseline_f1,
        blessed=_blessed(evaluation),
        pushed_to=_text(pushed, "pushed_destination"),
        anomalies=_anomalies(anomalies["anomalies"].uri),
    )


def _outputs(store: MetadataStore, execution_id: int) -> Outputs:
    events = store.get_events_by_execution_ids([execution_id])
    names = {
        event.artifact_id: event.path.steps[0].key
        for event in events
        if event.type in _PUT_OUT
    }
    artifacts = store.get_artifacts_by_id(list(names))
    return {names[artifact.id]: artifact for artifact in artifacts}


_PUT_OUT = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)


def _text(artifact: mlmd.Artifact, name: str) -> str | None:
    value = artifact.custom_properties[name].string_value
    return value or None


def _blessed(outputs: Outputs) -> bool:
    return outputs["blessing"].custom_properties["blessed"].int_value == 1


def _f1(uri: str) -> tuple[float, float | None]:
    """Returns F1@5 of the new model and of the last blessed one."""
    found = {}
    for metrics in tfma.load_metrics(uri):
        for item in metrics.metric_keys_and_values:
            if item.key.name == configs.F1_METRIC and not item.key.is_diff:
                found[item.key.model_name] = item.value.double_value.value
    baseline = found.pop(tfma.BASELINE_KEY, None)
    (candidate,) = found.values()
    return candidate, baseline


def _anomalies(uri: str) -> tuple[str, ...]:
    """Returns the names of the features with anomalies, sorted."""
    names = set()
    for split in SPLITS:
        path = Path(uri) / f"Split-{split}" / "SchemaDiff.pb"
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        names.update(anomalies.anomaly_info)
        if anomalies.HasField("dataset_anomaly_info"):
            names.add("(data set)")
    return tuple(sorted(names))


def _dataset_summary(outputs: Outputs) -> str:
    manifest = Manifest.load(dataset_folder(outputs["examples"].uri))
    counts = [f"{manifest.splits[s]['images']} {s}" for s in SPLITS]
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
    names = _anomalies(outputs["anomalies"].uri)
    return f"anomalies in {', '.join(names)}" if names else "no anomalies"


def _trainer_summary(outputs: Outputs) -> str:
    return f"logs in {outputs['model_run'].uri}"


def _resolver_summary(outputs: Outputs) -> str:
    return outputs["model"].uri if "model" in outputs else "none yet"


def _evaluator_summary(outputs: Outputs) -> str:
    f1, baseline_f1 = _f1(outputs["evaluation"].uri)
    beside = "" if baseline_f1 is None else f" (last blessed {baseline_f1:.3f})"
    verdict = "blessed" if _blessed(outputs) else "not blessed"
    return f"F1@{configs.F1_K} {f1:.3f}{beside}: {verdict}"


def _pusher_summary(outputs: Outputs) -> str:
    destination = _text(outputs["pushed_model"], "pushed_destination")
    return f"to {destination}" if destination else "nothing pushed"


_SUMMARIES = {
    configs.DATASET_GEN: _dataset_summary,
    configs.STATISTICS_GEN: _statistics_summary,
    configs.SCHEMA_GEN: _schema_summary,
    configs.EXAMPLE_VALIDATOR: _validator_summary,
    configs.TRAINER: _trainer_summary,
    configs.RESOLVER: _resolver_summary,
    configs.EVALUATOR: _evaluator_summary,
    configs.PUSHER: _pusher_summary,
}
