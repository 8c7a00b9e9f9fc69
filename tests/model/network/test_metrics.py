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
LEAVES = [False, True, True, True]


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


def test_mask_restricts_choice_and_labels():
    # Image 0 chooses 2 and 3, its only allowed label is 1.
    p = array(metrics.precision_at_k(Y_TRUE, Y_PRED, 2, LEAVES))
    np.testing.assert_allclose(p, [0.0, 1.0, 0.0])
    r = array(metrics.recall_at_k(Y_TRUE, Y_PRED, 3, LEAVES))
    np.testing.assert_allclose(r, [1.0, 1.0, 0.0])


def test_classes_outside_the_mask_never_fill_up():
    only_1 = [False, True, False, False]
    p = array(metrics.precision_at_k(Y_TRUE, Y_PRED, 2, only_1))
    np.testing.assert_allclose(p, [0.5, 0.5, 0.0])


def test_best_is_right():
    np.testing.assert_array_equal(
        array(metrics.best_is_right(Y_TRUE, Y_PRED)), [1, 1, 0]
    )
    np.testing.assert_array_equal(
        array(metrics.best_is_right(Y_TRUE, Y_PRED, LEAVES)), [0, 1, 0]
    )


def test_ties_go_to_the_lower_index():
    hits = array(metrics.top_k_hits([[0, 1, 1, 0]], np.full((1, 4), 0.5), 2))
    np.testing.assert_array_equal(hits, [[0, 1]])


def test_unknown_and_soft_labels():
    # -1 (unknown) is no positive; a confidence of 0.8 is.
    hits = array(metrics.top_k_hits([[-1, 0.8]], np.array([[0.9, 0.4]]), 2))
    np.testing.assert_array_equal(hits, [[0, 1]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (metrics.PrecisionAtK, 0.5),
        (metrics.RecallAtK, (1 / 2 + 2 / 3) / 3),
        (metrics.F1AtK, 1.3 / 3),
    ],
)
def test_metric_is_the_mean_over_images(kind, expected):
    metric = kind(2)
    metric.update_state(Y_TRUE[:1], Y_PRED[:1])
    metric.update_state(Y_TRUE[1:], Y_PRED[1:])
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_metric_with_weights():
    metric = metrics.PrecisionAtK(2)
    metric.update_state(Y_TRUE, Y_PRED, sample_weight=[1, 3, 0])
    assert float(metric.result()) == pytest.approx((0.5 + 3 * 1.0) / 4)


def test_metric_names():
    assert metrics.F1AtK().name == "f1_at_5"
    assert metrics.RecallAtK(10).name == "recall_at_10"
    assert metrics.PrecisionAtK(1, LEAVES, "best_leaf").name == "best_leaf"


def test_metric_refuses_k_0():
    with pytest.raises(ValueError, match="Received: k=0"):
        metrics.F1AtK(0)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.F1AtK(2, np.array(LEAVES)),
        metrics.PrecisionAtK(2),
        metrics.RecallAtK(10, name="recall"),
        metrics.MacroAveragePrecision(4, bins=64),
    ],
)
def test_serialization(metric):
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert copy.get_config() == metric.get_config()
    for m in (metric, copy):
        m.update_state(Y_TRUE, Y_PRED)
    assert float(copy.result()) == float(metric.result())


def test_average_precision_by_hand():
    # Class 0, best first: hit, miss, hit -> (1/1 + 2/3) / 2 = 5/6.
    # Class 1: miss, hit, miss -> 1/2. Class 2 has no positives.
    metric = metrics.MacroAveragePrecision(3)
    metric.update_state([[1, 0, 0]], np.array([[0.9, 0.5, 0.5]]))
    metric.update_state(
        [[0, 0, 0], [1, 1, 0]], np.array([[0.5, 0.2, 0.9], [0.1, 0.3, 0.1]])
    )
    metric.update_state([[0, 0, 0]], np.array([[0.01, 0.01, 0.1]]))
    precision, positives = metric.of_classes()
    np.testing.assert_allclose(array(precision), [5 / 6, 0.5, 0], rtol=1e-6)
    np.testing.assert_array_equal(array(positives), [2, 1, 0])
    assert float(metric.result()) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_average_precision_of_ties_is_the_share_of_positives():
    metric = metrics.MacroAveragePrecision(1)
    metric.update_state([[1], [0], [0], [0]], np.full((4, 1), 0.3))
    assert float(metric.result()) == pytest.approx(0.25)


def test_average_precision_with_weights():
    metric = metrics.MacroAveragePrecision(1)
    y_true, y_pred = [[0], [1]], np.array([[0.9], [0.1]])
    metric.update_state(y_true, y_pred, sample_weight=np.array([0.0, 1.0]))
    assert float(metric.result()) == pytest.approx(1.0)


def test_average_precision_of_extreme_scores():
    metric = metrics.MacroAveragePrecision(1)
    y_pred = np.array([[1.0], [0.0], [1e-30]])
    metric.update_state([[1], [0], [1]], y_pred)
    assert float(metric.result()) == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_nears_the_exact_one():
    random = np.random.default_rng(3)
    y_true = random.random(3000) < 0.1
    logits = random.normal(-4 + 2 * y_true, 1.5)
    y_pred = 1 / (1 + np.exp(-logits))
    metric = metrics.MacroAveragePrecision(1)
    metric.update_state(y_true[:, None], y_pred[:, None])
    ranked = y_true[np.argsort(-y_pred)]
    precision = np.cumsum(ranked) / np.arange(1, 3001)
    exact = precision[ranked].mean()
    assert float(metric.result()) == pytest.approx(exact, abs=0.01)


def test_average_precision_without_images():
    assert float(metrics.MacroAveragePrecision(3).result()) == 0.0


@pytest.mark.parametrize("bad", [{"classes": 0}, {"classes": 3, "bins": 1}])
def test_average_precision_refuses(bad):
    with pytest.raises(ValueError, match="Received: classes="):
        metrics.MacroAveragePrecision(**bad)


def test_in_a_compiled_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    wanted = [metrics.F1AtK(2), metrics.MacroAveragePrecision(4)]
    model.compile(loss="mse", metrics=wanted)
    found = model.evaluate(Y_PRED, Y_TRUE, return_dict=True, verbose=0)
    assert found["f1_at_2"] == pytest.approx(1.3 / 3)
    assert 0 < found["macro_average_precision"] <= 1
