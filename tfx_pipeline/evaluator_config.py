"""What the Evaluator measures, and what blesses a model."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma

from beam_jobs import records
from serving import contract
from tfx_pipeline import configs


def eval_config(
    min_f1: float = configs.MIN_F1,
    tolerance: float = configs.F1_TOLERANCE,
) -> tfma.EvalConfig:
    """Returns the TFMA configuration of the Evaluator.

    A model is blessed if its F1@5 over the validation split is above
    `min_f1` and at most `tolerance` below the last blessed model's, measured
    on the same records. Without a blessed model only the first rule holds.

    Args:
        min_f1: from 0 to 1.
        tolerance: from 0 to 1.
    """
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                # Loads the SavedModel as it is: TFMA's own Keras loader
                # expects Keras 2.
                model_type=tfma.TF_GENERIC,
                signature_name=contract.TF_EXAMPLE,
                prediction_key=contract.SCORE_VALUES,
                label_key=records.LABEL_ID,
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="ExampleCount"),
                    _f1_metric(min_f1, tolerance),
                ]
            )
        ],
    )


def _f1_metric(min_f1: float, tolerance: float) -> tfma.MetricConfig:
    return tfma.MetricConfig(
        module=configs.METRICS_MODULE,
        class_name=configs.METRIC_CLASS,
        config=json.dumps({"k": configs.F1_K, "name": configs.F1_METRIC}),
        threshold=tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(
                lower_bound={"value": min_f1}
            ),
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER,
                absolute={"value": -tolerance},
            ),
        ),
    )
