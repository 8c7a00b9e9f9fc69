import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.testing.util import assert_that
from tensorflow_model_analysis.metrics import metric_specs

from tfx_pipeline import names
from tfx_pipeline.blessing import F1AtK, eval_config, f1_of_image

SCORES = [0.9, 0.8, 0.1, 0.2, 0.3, 0.0]


@pytest.mark.parametrize(
    ("labels", "k", "expected"),
    [
        # Chosen 0, 1: both hit. 2 * 2 / (2 + 2).
        ([0, 1], 2, 1.0),
        # Chosen 0, 1, 4, 3, 2: two hits. 2 * 2 / (5 + 2).
        ([0, 1], 5, 4 / 7),
        # Class 5 is the only one not chosen.
        ([5], 5, 0.0),
        # One hit of two labels: 2 * 1 / (2 + 2).
        ([1, 5], 2, 0.5),
        ([], 5, 0.0),
        # Padding does not count.
        ([1, 0, -1, -1], 2, 1.0),
        # The model does not know class 8: 2 * 1 / (1 + 2).
        ([0, 8], 1, 2 / 3),
    ],
)
def test_f1_of_image(labels, k, expected):
    assert f1_of_image(labels, SCORES, k) == pytest.approx(expected)


def test_fewer_classes_than_k():
    # One hit; three of the five choices do not exist: 2 * 1 / (5 + 1).
    assert f1_of_image([1], [0.1, 0.9], 5) == pytest.approx(1 / 3)


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="k=0"):
        F1AtK(k=0)


def test_tfma_finds_the_metric_and_averages_over_images():
    config = eval_config()
    (computation,) = [
        computation
        for computation in metric_specs.to_computations(
            config.metrics_specs, eval_config=config
        )
        if computation.keys[0].name == names.F1_METRIC
    ]
    images = [
        tfma.metrics.StandardMetricInputs(
            labels=np.array(labels),
            predictions={"scores": np.array(SCORES, np.float32)},
            example_weights=np.array([1.0]),
        )
        for labels in ([0, 1], [5], [0, 1, 2, 3, 4])
    ]

    def check(results):
        ((key, value),) = results[0].items()
        assert key.name == "f1_at_5"
        assert value == pytest.approx((4 / 7 + 0 + 1) / 3)

    with beam.Pipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(images)
            | beam.CombineGlobally(computation.combiner)
        )
        assert_that(found, check)
