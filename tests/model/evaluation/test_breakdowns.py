import numpy as np

from model.evaluation.breakdowns import by_frequency, frequency_edges


def test_edges():
    assert frequency_edges(0) == [0]
    assert frequency_edges(9) == [0, 1, 3]
    assert frequency_edges(1000) == [0, 1, 3, 10, 30, 100, 300, 1000]


def test_by_frequency():
    rows = by_frequency(
        np.array([0, 1, 2, 100, 250, 7]),
        np.array([0.1, 0.2, 0.4, 0.6, 0.8, 0.9]),
        np.array([0.01, 0.01, 0.03, 0.5, 0.5, 0.0]),
        np.array([0.0, 0.5, 0.7, 1.0, 1.0, 0.0]),
    )
    # Class 5 has no image to evaluate.
    assert [r.to_json() for r in rows] == [
        row([0, 0], 1, 0.1, 0.01, 0.0),
        row([1, 2], 2, 0.3, 0.02, 0.6),
        row([100, 250], 2, 0.7, 0.5, 1.0),
    ]


def row(span, classes, precision, baseline, f1):
    return {
        "train_images": span,
        "classes": classes,
        "macro_average_precision": precision,
        "baseline": baseline,
        "f1": f1,
    }
