"""The component that blesses a model by its figures, or says why not."""

from __future__ import annotations

# TFX's annotations and protos are no types that mypy can follow:
# mypy: disable-error-code="attr-defined, misc, type-arg"
import json
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import component_spec, standard_artifacts

from beam_jobs.files import storage
from beam_jobs.option_fields import from_mapping
from model.evaluation.breakdowns import Comparison
from model.evaluation.gate import FIGURES, Verdict, decide
from model.evaluation.gate_options import ModelGateOptions
from model.evaluation.paired import Difference
from tfx_pipeline import names, state
from tfx_pipeline.components.tagger_metrics import BASELINE

REASON, BEATS = "reason", "baseline_model_uri"
_PARTS = ("model", "baseline", "ceiling")
_DIFFERENCE = ("model", "earlier", "low", "high")
_FILE = "model_gate.json"


# Derived from the Evaluator's: Kubeflow rewrites the model's id in a blessing
# for such executors alone, and without it no resolver finds the model.
class Executor(evaluator_executor.Executor):
    """Reads what the Evaluator has measured, and decides."""

    def Do(  # noqa: N802 (TFX calls it so)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Blesses the model, or not; with the reasons as a property."""
        (model,) = input_dict["model"]
        (evaluation,) = input_dict["evaluation"]
        baselines = input_dict.get("baseline_model") or []
        (blessing,) = output_dict["blessing"]
        limits = from_mapping(
            ModelGateOptions, json.loads(exec_properties["options"])
        )
        figures = read_figures(evaluation.uri)
        verdict = decide(*measured(figures), limits)
        root = exec_properties["root"]
        _write(blessing, model, verdict)
        if baselines and baselines[0].uri != model.uri:
            blessing.set_string_custom_property(BEATS, baselines[0].uri)
        report = describe(figures, verdict)
        path = storage.join(root, names.REPORTS, _FILE)
        storage.write_text(path, json.dumps(report, indent=1) + "\n")
        if verdict.blessed:
            found = {"model": model.uri, "data": exec_properties["data"]}
            state.add_blessing(root, found)


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "options": component_spec.ExecutionParameter(type=str),
        "root": component_spec.ExecutionParameter(type=str),
        "data": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "evaluation": component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation
        ),
        "baseline_model": component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
    }
    OUTPUTS = {
        "blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
    }


class ModelGate(base_component.BaseComponent):
    """Blesses by `model.evaluation.gate`.

    Args:
        options: `ModelGateOptions` as JSON.
        root: of the pipeline.
        data: key of the data; a warm start goes on from a model of another.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        evaluation: types.BaseChannel,
        baseline_model: types.BaseChannel,
        options: str,
        root: str,
        data: str,
    ):
        super().__init__(
            _Spec(
                model=model,
                evaluation=evaluation,
                baseline_model=baseline_model,
                options=options,
                root=root,
                data=data,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def read_figures(uri: str) -> dict[str, float]:
    """Returns the candidate's figures of an evaluation, by their paths."""
    return {
        item.key.name: item.value.double_value.value
        for metrics in tfma.load_metrics(uri)
        for item in metrics.metric_keys_and_values
        if item.key.model_name != BASELINE and not item.key.is_diff
    }


def measured(
    figures: Mapping[str, float],
) -> tuple[int, dict[str, Comparison], dict[str, Difference]]:
    """Returns images, figures and differences, as the gate takes them."""
    compared = {
        name: Comparison(*(figures[f"figures/{name}/{p}"] for p in _PARTS))
        for name in FIGURES
    }
    differences = {
        name: Difference(
            **{p: figures[f"paired/{name}/{p}"] for p in _DIFFERENCE},
            units=int(figures[f"paired/{name}/units"]),
        )
        for name in FIGURES
        if f"paired/{name}/units" in figures
    }
    return int(figures["images"]), compared, differences


def describe(figures: Mapping[str, float], verdict: Verdict) -> dict[str, Any]:
    """Returns what was decided by what, as JSON."""
    images, compared, differences = measured(figures)
    return {
        "blessed": verdict.blessed,
        "reasons": verdict.reasons,
        "images": images,
        "figures": {n: c.to_json() for n, c in compared.items()},
        "last_blessed": {n: d.to_json() for n, d in differences.items()},
    }


def _write(
    blessing: types.Artifact, model: types.Artifact, verdict: Verdict
) -> None:
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE
        if verdict.blessed
        else constants.NOT_BLESSED_VALUE,
    )
    blessing.set_string_custom_property(REASON, "; ".join(verdict.reasons))
    name = (
        constants.BLESSED_FILE_NAME
        if verdict.blessed
        else constants.NOT_BLESSED_FILE_NAME
    )
    fileio.makedirs(blessing.uri)
    with fileio.open(f"{blessing.uri}/{name}", "w") as file:
        file.write("\n".join(verdict.reasons))
