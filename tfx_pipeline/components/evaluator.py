"""TFX's Evaluator with what it measures found when it runs.

The data set and the models' classes are known then, and not where the
pipeline is made.
"""

from __future__ import annotations

# TFX's annotations and protos are no types that mypy can follow:
# mypy: disable-error-code="attr-defined, misc"
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_component_specs as keys
from tfx.utils import path_utils, proto_utils

from tfx_pipeline.components.calibrator import run_folder
from tfx_pipeline.components.dataset_gen import dataset_folder
from tfx_pipeline.components.tagger_metrics import (
    BASELINE,
    CANDIDATE,
    Judged,
    eval_config,
)
from tfx_pipeline.places import local_path


class Executor(executor.Executor):
    """Measures the candidate, and the last blessed model beside it."""

    def Do(  # noqa: N802 (TFX calls it so)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs TFMA; see TFX's own executor for the arguments."""
        (examples,) = input_dict[keys.EXAMPLES_KEY]
        (model,) = input_dict[keys.MODEL_KEY]
        inputs = dict(input_dict)
        baselines = inputs.pop(keys.BASELINE_MODEL_KEY, [])
        models = {CANDIDATE: assets_of(model)}
        # A model is not measured beside itself.
        if baselines and baselines[0].uri != model.uri:
            inputs[keys.BASELINE_MODEL_KEY] = baselines
            models[BASELINE] = assets_of(baselines[0])
        judged = Judged(
            str(dataset_folder(examples.uri)),
            str(run_folder(model.uri)),
            models,
        )
        config = proto_utils.proto_to_json(eval_config(judged))
        super().Do(
            inputs,
            output_dict,
            exec_properties | {keys.EVAL_CONFIG_KEY: config},
        )


class Evaluator(component.Evaluator):
    """As TFX's, without thresholds: what blesses is the ModelGate."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, **channels: Any):
        # Not read; without one TFX takes the model for an estimator.
        config = tfma.EvalConfig(model_specs=[tfma.ModelSpec()])
        super().__init__(
            eval_config=config, example_splits=["validation"], **channels
        )


def assets_of(model: types.Artifact) -> str:
    """Returns the folder of a model's classes."""
    return str(local_path(path_utils.serving_model_path(model.uri)) / "assets")
