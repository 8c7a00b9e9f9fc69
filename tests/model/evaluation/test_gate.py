import pytest

from model.evaluation.breakdowns import Comparison
from model.evaluation.gate import FIGURES, decide
from model.evaluation.gate_options import ModelGateOptions
from model.evaluation.paired import Difference


def figures(model=0.5, baseline=0.3, **changes):
    found = {name: Comparison(model, baseline, 1.0) for name in FIGURES}
    return found | changes


def test_a_good_first_model_is_blessed():
    assert decide(500, figures(), {}).blessed


def test_too_few_images_judge_nothing():
    (reason,) = decide(43, figures(), {}).reasons
    assert reason == (
        "43 validation images are too few to judge by: at least 100 "
        "(--min-validation-images)"
    )


def test_a_nearly_constant_tagger_is_held_back():
    # As one that answers the most frequent tags: F1@5 alone would do.
    found = figures(
        f1_at_5=Comparison(0.32, 0.318, 1),
        leaf_f1_at_5=Comparison(0.05, 0.05, 1),
        macro_average_precision=Comparison(0.114, 0.1, 1),
    )
    reasons = decide(500, found, {}).reasons
    assert len(reasons) == 3 and all("most frequent tags" in r for r in reasons)
    assert decide(500, found, {}, ModelGateOptions(min_gain=-1)).blessed


def test_each_figure_has_a_least():
    options = ModelGateOptions(min_f1=0.6, min_leaf_f1=0.6, min_macro_ap=0.6)
    reasons = decide(500, figures(), {}, options).reasons
    assert [r.split(" is below ")[1] for r in reasons] == [
        "--min-f1 0.6",
        "--min-leaf-f1 0.6",
        "--min-macro-ap 0.6",
    ]


@pytest.mark.parametrize(
    ("low", "high", "tolerance", "blessed"),
    [
        # Worse, but the images cannot tell it from as good.
        (-0.039, 0.006, 0.0, True),
        (-0.039, -0.006, 0.0, False),
        (-0.039, -0.006, 0.01, True),
        (0.01, 0.02, 0.0, True),
    ],
)
def test_beside_the_last_blessed_model(low, high, tolerance, blessed):
    middle = (low + high) / 2
    difference = Difference(0.5, 0.5 - middle, low, high, 500)
    found = decide(
        500,
        figures(),
        {"leaf_f1_at_5": difference},
        ModelGateOptions(tolerance=tolerance),
    )
    assert found.blessed is blessed
    if not blessed:
        (reason,) = found.reasons
        assert reason.startswith("leaf F1@5 is below the last blessed model's")


def test_a_nan_does_not_pass():
    nan = float("nan")
    found = figures(f1_at_5=Comparison(nan, 0.3, 1))
    assert not decide(500, found, {}).blessed
