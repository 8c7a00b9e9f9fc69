"""The model gate: is a tagger good enough, alone and beside the last one?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from model.evaluation.breakdowns import Comparison
from model.evaluation.gate_options import ModelGateOptions
from model.evaluation.paired import Difference

# Ancestors decide F1 at 5: a tagger that says the same of every image has
# nearly that of a good one. Leaves and macro AP tell them apart.
FIGURES = {
    "f1_at_5": "F1@5",
    "leaf_f1_at_5": "leaf F1@5",
    "macro_average_precision": "macro AP",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a model is blessed.

    Attributes:
        reasons: why not, a line each; empty if it is.
    """

    reasons: tuple[str, ...]

    @property
    def blessed(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


def decide(
    images: int,
    figures: Mapping[str, Comparison],
    differences: Mapping[str, Difference],
    options: ModelGateOptions | None = None,
) -> Verdict:
    """Decides on a model by its figures on the validation split.

    Args:
        images: of the split.
        figures: the model's beside those of the most frequent tags, by the
            names of `FIGURES`.
        differences: from the last blessed model's, by the same names; empty
            without one.
    """
    options = options or ModelGateOptions()
    reasons = list(_alone(images, figures, options))
    for name, difference in differences.items():
        if difference.high < -options.tolerance:
            reasons.append(
                f"{FIGURES[name]} is below the last blessed model's: "
                f"{difference.model:.3f} against {difference.earlier:.3f}, by "
                f"{difference.value:+.3f} ({difference.low:+.3f} to "
                f"{difference.high:+.3f}, tolerance {options.tolerance:g})"
            )
    return Verdict(tuple(reasons))


def _alone(
    images: int, figures: Mapping[str, Comparison], options: ModelGateOptions
) -> Iterator[str]:
    if images < options.min_validation_images:
        yield (
            f"{images} validation images are too few to judge by: at least "
            f"{options.min_validation_images} (--min-validation-images)"
        )
    least = (options.min_f1, options.min_leaf_f1, options.min_macro_ap)
    flags = ("--min-f1", "--min-leaf-f1", "--min-macro-ap")
    for (name, shown), minimum, flag in zip(
        FIGURES.items(), least, flags, strict=True
    ):
        found = figures[name]
        # So written, a NaN is no figure that passes.
        if not found.model >= minimum:
            yield f"{shown} {found.model:.3f} is below {flag} {minimum:g}"
        if not found.model - found.baseline >= options.min_gain:
            yield (
                f"{shown} {found.model:.3f} is not {options.min_gain:g} above "
                f"the {found.baseline:.3f} of the most frequent tags "
                "(--min-gain)"
            )
