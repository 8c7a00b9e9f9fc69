import numpy as np
import pytest

from model.evaluation.paired import PairedScores, f1_of_images

RANDOM = np.random.default_rng(0)


def scores(images, classes):
    return RANDOM.random((images, classes)).astype(np.float32)


def test_f1_of_images_by_hand():
    labels = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    given = np.array([[0.9, 0.8, 0.1, 0], [0, 0.1, 0.2, 0.9], [1, 0, 0, 0]])
    found = f1_of_images(labels, given, np.arange(4), 2)
    # 2 * 1 / (2 + 2), 2 * 1 / (2 + 1), no label
    assert found == pytest.approx([0.5, 2 / 3, 0])
    # Of the last two classes alone.
    found = f1_of_images(labels, given, np.array([2, 3]), 1)
    assert found == pytest.approx([1, 1, 0])


def counted(labels, model, earlier, parts=1):
    def new():
        return PairedScores(np.arange(labels.shape[1]), np.array([1, 2, 3]))

    total = new()
    for rows in np.array_split(np.arange(len(labels)), parts):
        part = new()
        part.update(labels[rows], model[rows], earlier[rows])
        total.add_tables(part.tables())
    return total.differences()


def test_the_interval_is_that_of_the_paired_mean():
    labels = (scores(80, 8) > 0.7).astype(np.int8)
    model, earlier = scores(80, 8), scores(80, 8)
    found = counted(labels, model, earlier)["f1_at_5"]
    positive, columns = labels > 0, np.arange(8)
    d = f1_of_images(positive, model, columns)
    d -= f1_of_images(positive, earlier, columns)
    half = 1.959964 * d.std(ddof=1) / np.sqrt(80)
    assert found.value == pytest.approx(d.mean())
    assert (found.low, found.high) == pytest.approx(
        (d.mean() - half, d.mean() + half)
    )
    assert found.units == 80


def test_parts_add_up_to_the_whole():
    labels = (scores(60, 8) > 0.7).astype(np.int8)
    model, earlier = scores(60, 8), scores(60, 8)
    whole = counted(labels, model, earlier)
    in_parts = counted(labels, model, earlier, parts=7)
    for name, difference in whole.items():
        other = in_parts[name]
        assert vars(other) == pytest.approx(vars(difference))


def test_equal_models_do_not_differ():
    labels = (scores(20, 8) > 0.7).astype(np.int8)
    model = scores(20, 8)
    for difference in counted(labels, model, model).values():
        assert difference.low == difference.value == difference.high == 0


def test_only_common_classes_count():
    labels = np.array([[1, 1, 0, 1]] * 3, np.int8)
    model, earlier = scores(3, 4), scores(3, 4)
    some = PairedScores(np.array([0, 2, 3]), np.array([3]))
    some.update(labels, model, earlier)
    alone = PairedScores(np.arange(3), np.array([2]))
    rest = [0, 2, 3]
    alone.update(labels[:, rest], model[:, rest], earlier[:, rest])
    assert some.differences() == alone.differences()


def test_a_better_model_is_better_in_all():
    labels = np.eye(8, dtype=np.int8)[RANDOM.integers(0, 8, 100)]
    found = counted(labels, labels * 0.9, scores(100, 8) * 0.1)
    assert found["f1_at_5"].low > 0
    assert found["macro_average_precision"].low > 0
    # Among three leaves the best five hold every label, of both.
    assert found["leaf_f1_at_5"].value == 0
    assert found["macro_average_precision"].model == pytest.approx(1)
    assert found["macro_average_precision"].units == 8
