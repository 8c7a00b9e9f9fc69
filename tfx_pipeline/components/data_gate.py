"""The component that lets no data to the training that it should not see."""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.
import json
from dataclasses import replace
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, Examples

from beam_jobs.classes import load_classes
from beam_jobs.data_gate.check import check
from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.data_gate.page import write_page
from beam_jobs.data_gate.summary import DataSummary
from beam_jobs.files import storage
from beam_jobs.option_fields import from_mapping
from tfx_pipeline import names, state
from tfx_pipeline.components.dataset_gen import dataset_folder
from tfx_pipeline.outcomes import DataRefusedError
from tfx_pipeline.places import local_path

PAGE, IMAGES = "data_gate.html", "images"


@component
def DataGate(  # noqa: N802 (TFX names a component like a class)
    examples: InputArtifact[Examples],
    anomalies: InputArtifact[ExampleAnomalies],
    options: Parameter[str],
    root: Parameter[str],
    verdict: OutputArtifact[ExampleAnomalies],
) -> None:
    """Ends the run with a reason and a page, or accepts the data.

    Args:
        options: `DataGateOptions` as JSON.
        root: of the pipeline: it keeps the last accepted data.
        verdict: the page, and the number of images accepted. The data is
            refused as a whole: splits it has none.

    Raises:
        DataRefusedError: the reasons, one after the other.
    """
    dataset = dataset_folder(examples.uri)
    settings = state.read_json(root, state.SETTINGS) or {}
    kept = state.path_in(root, state.ACCEPTED)
    before = None if settings.get("accept_data") else DataSummary.load(kept)
    limits = from_mapping(DataGateOptions, json.loads(options))
    found = check(dataset, before, limits)
    broken = tuple(broken_schema(anomalies))
    found = replace(found, reasons=(*broken, *found.reasons))
    page = storage.join(root, names.REPORTS, PAGE)
    write_page(found, page)
    if not found.accepted:
        reasons = "; ".join(found.reasons)
        raise DataRefusedError(f"the data is refused: {reasons}; see {page}")
    accept(dataset, root)
    write_page(found, str(local_path(verdict.uri) / PAGE))
    verdict.split_names = artifact_utils.encode_split_names([])
    verdict.set_int_custom_property(IMAGES, found.images)


def accept(dataset: Path, root: str) -> None:
    """Keeps what the next data is compared with, and its classes."""
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        text = storage.read_text(storage.join(dataset, name))
        storage.write_text(state.path_in(root, state.CLASSES, name), text)
    DataSummary.of_dataset(dataset).save(state.path_in(root, state.ACCEPTED))


def broken_schema(anomalies: ExampleAnomalies) -> list[str]:
    """Returns a line for each feature of a split that breaks the schema."""
    lines = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        folder = local_path(anomalies.uri) / f"Split-{split}"
        path = folder / "SchemaDiff.pb"
        found = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        for name, info in sorted(found.anomaly_info.items()):
            lines.append(f"{split}: {name}: {info.description}")
        if found.HasField("dataset_anomaly_info"):
            lines.append(f"{split}: {found.dataset_anomaly_info.description}")
    return lines
