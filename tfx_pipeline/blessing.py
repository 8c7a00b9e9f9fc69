"""What the Evaluator measures, and what blesses a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util

from beam_jobs.dataset import records
from model.network import metrics
from serving.api import contract
from tfx_pipeline import names


def eval_config(
    min_f1: float = names.MIN_F1,
    tolerance: float = names.F1_TOLERANCE,
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
        module=names.METRICS_MODULE,
        class_name=names.METRIC_CLASS,
        config=json.dumps({"k": names.F1_K, "name": names.F1_METRIC}),
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


# (sum of F1 over images, images)
Accumulator = tuple[float, int]


class F1AtK(tfma.metrics.Metric):
    """Mean over images of F1@k, from sparse labels and dense scores.

    Args:
        k: how many best-scored classes count as chosen, at least 1.
        name: of the metric; None for `f1_at_<k>`.
    """

    def __init__(self, k: int = 5, name: str | None = None):
        if k < 1:
            raise ValueError(f"k must be at least 1. Received: k={k}")
        computations = metric_util.merge_per_key_computations(_computations)
        super().__init__(computations, name=name or f"f1_at_{k}", k=k)


def f1_of_image(labels: Any, scores: Any, k: int) -> float:
    """Returns the F1@k of one image.

    A label beyond the scores is a class that the model does not know: it
    counts as missed.

    Args:
        labels: class indices, int [labels]; TFMA may pad them with -1.
        scores: float [classes].
        k: at least 1.
    """
    labels = np.asarray(labels, np.int64).reshape(-1)
    scores = np.asarray(scores, np.float32).reshape(-1)
    classes = max(len(scores), labels.max(initial=-1) + 1)
    y_true = np.zeros([1, classes], np.float32)
    y_true[0, labels[labels >= 0]] = 1.0
    y_pred = np.full([1, classes], -np.inf, np.float32)
    y_pred[0, : len(scores)] = scores
    return float(metrics.f1_at_k(y_true, y_pred, k)[0])


def _computations(
    name: str,
    k: int,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> list[tfma.metrics.MetricComputation]:
    """Called by TFMA, once for each model."""
    key = tfma.metrics.MetricKey(
        name=name,
        model_name=model_name,
        output_name=output_name,
        example_weighted=example_weighted,
    )
    combiner = _MeanF1(key, k, eval_config)
    return [
        tfma.metrics.MetricComputation(
            keys=[key], preprocessors=None, combiner=combiner
        )
    ]


class _MeanF1(beam.CombineFn):
    def __init__(
        self,
        key: tfma.metrics.MetricKey,
        k: int,
        eval_config: tfma.EvalConfig | None,
    ):
        self._key = key
        self._k = k
        self._eval_config = eval_config

    def create_accumulator(self) -> Accumulator:
        return 0.0, 0

    def add_input(
        self,
        mutable_accumulator: Accumulator,
        element: tfma.metrics.StandardMetricInputs,
    ) -> Accumulator:
        total, images = mutable_accumulator
        for labels, scores, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
        ):
            total += f1_of_image(labels, scores, self._k)
            images += 1
        return total, images

    def merge_accumulators(
        self, accumulators: Iterable[Accumulator]
    ) -> Accumulator:
        totals, images = zip(*accumulators, strict=True)
        return sum(totals), sum(images)

    def extract_output(
        self, accumulator: Accumulator
    ) -> dict[tfma.metrics.MetricKey, float]:
        total, images = accumulator
        return {self._key: total / images if images else float("nan")}
