"""The kinds of loss: one row each, from which config and loss follow.

A new loss is a function in `model.losses.pair_losses` that makes its pair of
value and slope, and a row here. No TensorFlow: configs are read without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from beam_jobs.option_fields import Limits


class Parameter(NamedTuple):
    """A number of a loss, a field of `LossConfig`.

    Attributes:
        name: of the field, and of the argument where it is the pair's.
        default: of the field.
        limits: of the field.
    """

    name: str
    default: float
    limits: Limits


@dataclass(frozen=True)
class LossSwitches:
    """The parts of a loss that can be switched apart from its kind.

    Attributes:
        positive_weight: the paper's eta: weight of the positives; 1 is off.
        absent_probability: a class without a positive in the batch is
            updated with this probability; 1 is always.
        negative_ratio: negatives kept for each positive of a class in the
            batch; 0 keeps all.
        reduction: `mean` or `sum` over the classes; over the images it is
            the mean, always.
    """

    positive_weight: float = 1.0
    absent_probability: float = 1.0
    negative_ratio: float = 0.0
    reduction: str = "mean"


@dataclass(frozen=True)
class LossKind:
    """What a kind of loss is made of.

    Attributes:
        pair: name of the function in `model.losses.pair_losses`.
        pair_parameters: that it takes, by name.
        switches: its own; by default nothing is weighed or left out.
        coefficients: numbers of the class coefficient c_j in
            `model.losses.adaptive_loss`; none is for a c_j of 1.
    """

    pair: str
    pair_parameters: tuple[Parameter, ...] = ()
    switches: LossSwitches = LossSwitches()
    coefficients: tuple[Parameter, ...] = ()


_POSITIVE = Limits(over=0)
_PROBABILITY = Limits(min=0, max=1)
_EXPONENT = Limits(min=0, max=100)

LOSS_KINDS = {
    # The paper's eta and its 5:1 sampling weigh the positives up twice; its
    # released code left the sampling out.
    "paper": LossKind(
        "cross_entropy_pair",
        switches=LossSwitches(12.0, 0.1, 5.0, "mean"),
        coefficients=(
            # 1 switches r off.
            Parameter("decay", 0.9, _PROBABILITY),
            # Least r. With 0 (the paper) a class that every batch contains
            # stops learning: 0.9^100 is 3e-5.
            Parameter("floor", 0.0, _PROBABILITY),
        ),
    ),
    "released": LossKind(
        "cross_entropy_pair",
        switches=LossSwitches(12.0, 0.1, 0.0, "sum"),
        coefficients=(
            # Least coefficients, and what is added to the run lengths.
            Parameter("positive_floor", 0.01, _PROBABILITY),
            Parameter("negative_floor", 0.001, _PROBABILITY),
            Parameter("positive_offset", 0.01, _POSITIVE),
            Parameter("negative_offset", 8.0, _POSITIVE),
        ),
    ),
    "bce": LossKind("cross_entropy_pair"),
    "focal": LossKind(
        "focal_pair",
        (
            Parameter("focal_gamma", 2.0, _EXPONENT),
            Parameter("focal_alpha", 0.25, _PROBABILITY),
        ),
    ),
    "asymmetric": LossKind(
        "asymmetric_pair",
        (
            Parameter("positive_gamma", 0.0, _EXPONENT),
            Parameter("negative_gamma", 4.0, _EXPONENT),
            Parameter("clip", 0.05, Limits(min=0, max=0.999)),
        ),
    ),
}
# Of one class an image, not of pairs: `model.losses.softmax_loss`.
SOFTMAX = "softmax"
PARAMETERS = (
    *(
        parameter
        for kind in LOSS_KINDS.values()
        for parameter in (*kind.pair_parameters, *kind.coefficients)
    ),
    Parameter("label_smoothing", 0.0, Limits(min=0, under=1)),
)
