import keras
import numpy as np
import pytest

from model.network import metrics

# Image 0: best-scored classes 0, 2, 3; labels 0, 1. Image 1: best-scored 3,
# 1, 0; labels 0, 1, 3. Image 2 has no labels.
Y_TRUE = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]], "float32")
Y_PRED = np.array(
    [[0.9, 0.1, 0.8, 0.7], [0.3, 0.6, 0.2, 0.9], [0.9, 0.8, 0.7, 0.6]],
    "float32",
)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_top_k_hits():
    hits = array(metrics.top_k_hits(Y_TRUE, Y_PRED, 3))
    np.testing.assert_array_equal(hits, [[1, 0, 0], [1, 1, 1], [0, 0, 0]])


def test_precision():
    values = array(metrics.precision_at_k(Y_TRUE, Y_PRED, 2))
    np.testing.assert_allclose(values, [0.5, 1.0, 0.0])


def test_recall():
    values = array(metrics.recall_at_k(Y_TRUE, Y_PRED, 2))
    np.testing.assert_allclose(values, [0.5, 2 / 3, 0.0])


def test_f1():
    # P 1/2, R 1/2 -> 1/2; P 1, R 2/3 -> 4/5.
    values = array(metrics.f1_at_k(Y_TRUE, Y_PRED, 2))
    np.testing.assert_allclose(values, [0.5, 0.8, 0.0], rtol=1e-6)


def test_f1_is_the_harmonic_mean_of_the_papers_p_and_r():
    random = np.random.default_rng(7)
    y_true = (random.random((50, 30)) < 0.2).astype("float32")
    y_pred = random.random((50, 30))
    p = array(metrics.precision_at_k(y_true, y_pred, 5))
    r = array(metrics.recall_at_k(y_true, y_pred, 5))
    expected = np.divide(2 * p * r, p + r, out=np.zeros(50), where=p + r > 0)
    f1 = array(metrics.f1_at_k(y_true, y_pred, 5))
    np.testing.assert_allclose(f1, expected, rtol=1e-5)


def test_k_beyond_the_classes_still_divides_by_k():
    # Image 0: 2 hits of 10, all its labels; 2 * 2 / (10 + 2).
    assert array(metrics.precision_at_k(Y_TRUE, Y_PRED, 10))[0] == (
        pytest.approx(0.2)
    )
    assert array(metrics.recall_at_k(Y_TRUE, Y_PRED, 10))[0] == 1.0
    assert array(metrics.f1_at_k(Y_TRUE, Y_PRED, 10))[0] == pytest.approx(1 / 3)


def test_ties_go_to_the_lower_index():
    hits = array(metrics.top_k_hits([[0, 1, 1, 0]], np.full((1, 4), 0.5), 2))
    np.testing.assert_array_equal(hits, [[0, 1]])


def test_unknown_and_soft_labels():
    # -1 (unknown) is no positive; a confidence of 0.8 is.
    hits = array(metrics.top_k_hits([[-1, 0.8]], np.array([[0.9, 0.4]]), 2))
    np.testing.assert_array_equal(hits, [[0, 1]])


def test_metrics_are_the_means_over_images():
    expected = (0.5, (1 / 2 + 2 / 3) / 3, 1.3 / 3)
    found = metrics.means_at_k(2)
    assert [m.name for m in found] == [
        "precision_at_2",
        "recall_at_2",
        "f1_at_2",
    ]
    for metric, mean in zip(found, expected, strict=True):
        metric.update_state(Y_TRUE[:1], Y_PRED[:1])
        metric.update_state(Y_TRUE[1:], Y_PRED[1:])
        assert float(metric.result()) == pytest.approx(mean)
        metric.reset_state()
        assert float(metric.result()) == 0.0


def test_images_that_fill_a_batch_weigh_nothing():
    precision, *_ = metrics.means_at_k(2)
    precision.update_state(Y_TRUE, Y_PRED, sample_weight=[1, 3, 0])
    assert float(precision.result()) == pytest.approx((0.5 + 3 * 1.0) / 4)
