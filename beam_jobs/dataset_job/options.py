"""What a data set is built from, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.dataset_folder import CALIBRATION, SPLITS, TRAIN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.images.options import MAX_DISTANCE, ImageLimits
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.option_fields import Option, Options, Without, changed
from beam_jobs.sources.find_sources import SourcePaths


@dataclass(frozen=True)
class LabelOptions(Options):
    """How annotations become labels."""

    min_confidence: Annotated[
        float,
        Option(
            "Least confidence of a positive label.",
            over=0,
            max=1,
            panel="Labels",
        ),
    ] = 0.7
    cooccurrence: Annotated[
        str | None,
        Option(
            "Pairs of classes that `tagforest cooccurrence` found.",
            path=True,
            panel="Labels",
        ),
    ] = None


@dataclass(frozen=True)
class ImageChecks(Options):
    """How images are read."""

    limits: Annotated[ImageLimits, Without("min_side")] = ImageLimits()
    short_side: Annotated[
        int | None,
        Option(
            "Resize larger images to this short side, pixels. Default: good "
            "JPEG files stay as they are.",
            panel="Images",
        ),
    ] = None
    labels_only: Annotated[
        bool, Option("Write records without images.", panel="Labels")
    ] = False
    boxes: Annotated[
        bool,
        Option("Keep the boxes of objects, to detect them.", panel="Images"),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.boxes and self.labels_only:
            self.refuse("boxes", "left out with --labels-only")
        least = self.limits.min_side
        if self.short_side is not None and self.short_side < least:
            self.refuse("short_side", f"at least {least} pixels")


DEFAULT_FRACTIONS = {"train": 0.9, "validation": 0.1}
KEEP_SPLITS = "source"


def parse_fractions(text: str) -> dict[str, float]:
    """Returns fractions by split from `train=0.9,validation=0.1`.

    From `source` none, and from `source,calibration=0.1` that alone: the split
    of the sources is kept, and a calibration split is drawn out of train.

    Raises:
        InputError: malformed, an unknown split, no train split, or a sum
            other than 1.
    """
    fractions: dict[str, float] = {}
    first, *parts = text.split(",")
    kept = first.strip() == KEEP_SPLITS
    allowed = (CALIBRATION,) if kept else SPLITS
    for part in parts if kept else text.split(","):
        name, _, value = part.partition("=")
        try:
            fraction = float(value)
        except ValueError:
            fraction = -1.0
        if name not in allowed or not 0 <= fraction <= 1:
            raise InputError(
                "splits are written as train=0.9,validation=0.1 with names "
                f"out of {', '.join(SPLITS)}, or as {KEEP_SPLITS} or "
                f"{KEEP_SPLITS},calibration=0.1: the sources' own; received: "
                f"{part!r}"
            )
        fractions[name] = fraction
    if kept:
        return fractions
    if abs(sum(fractions.values()) - 1) > 1e-9 or not fractions.get(TRAIN):
        raise InputError(
            "the fractions must add up to 1, with a part for train; "
            f"received: {text!r}"
        )
    return fractions


def show_fractions(fractions: Mapping[str, float]) -> str:
    """Returns the text that `parse_fractions` reads."""
    shown = [f"{name}={value:g}" for name, value in fractions.items()]
    return ",".join([KEEP_SPLITS] * (TRAIN not in fractions) + shown)


@dataclass(frozen=True)
class SplitOptions(Options):
    """How images are split.

    The caps of validation are the paper's (section 2): 5 and 50,000. They are
    for splits that are drawn; without a fraction of train those of the sources
    are kept.
    """

    fractions: Annotated[
        Mapping[str, float],
        Option(
            "Fractions of train, validation, calibration, test; or `source`: "
            "the split of the sources is kept (val is validation), and an "
            "image without one goes to train; `source,calibration=0.1` draws "
            "calibration out of train.",
            flag="--splits",
            typed=str,
            parse=parse_fractions,
            show=show_fractions,
            panel="Splits",
        ),
    ] = field(default_factory=lambda: dict(DEFAULT_FRACTIONS))
    seed: Annotated[int, Option("Seed of the splits.", panel="Splits")] = 0
    validation_per_class: Annotated[
        int,
        Option(
            "Most validation images of an annotated class; 0 for no cap.",
            min=0,
            panel="Splits",
        ),
    ] = 5
    validation_max: Annotated[
        int,
        Option(
            "Most validation images in all; 0 for no cap.",
            min=0,
            panel="Splits",
        ),
    ] = 50_000
    near_duplicate_distance: Annotated[
        int,
        Option(
            "Bits of 64 that perceptual hashes of one image may differ in; "
            "such images share a split. -1: exact copies only.",
            flag="--near-duplicates",
            min=-1,
            max=MAX_DISTANCE,
            panel="Splits",
        ),
    ] = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation_per_class", "validation_max"):
            usual = type(self).__dataclass_fields__[name].default
            if self.kept and getattr(self, name) not in (0, usual):
                self.refuse(name, "left out: --splits source moves no image")

    @property
    def kept(self) -> bool:
        """Whether the splits of the sources are kept."""
        return TRAIN not in self.fractions


@dataclass(frozen=True)
class DatasetOptions(Options):
    """What to build.

    How many shards there are follows from `images_per_shard`: at most so
    many, on average.
    """

    out: Annotated[
        str, Option("Folder of the data set, local or gs://...", path=True)
    ]
    sources: SourcePaths
    vocabulary: VocabularyOptions = VocabularyOptions()
    labels: LabelOptions = LabelOptions()
    images: ImageChecks = ImageChecks()
    splits: SplitOptions = field(default_factory=SplitOptions)
    images_per_shard: Annotated[
        int | None,
        Option(
            "Images of a shard, about. Default: 4096, and 65536 records "
            "without images.",
            min=1,
            panel="Output",
        ),
    ] = None
    overwrite: Annotated[
        bool, Option("Build anew what is in OUT.", panel="Output")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # The label would go, and its mask stay.
        if self.sources.corrections and self.sources.masks:
            raise InputError(
                "--corrections are of labels, not of masks; received: --masks"
            )

    def described(self) -> dict[str, Any]:
        """Returns what decides the content, for the manifest."""
        values = asdict(self)
        return {
            k: v for k, v in values.items() if k not in ("out", "overwrite")
        }

    def request(self) -> dict[str, Any]:
        """Returns what was asked for beyond the defaults.

        A data set that an earlier release made, without an option that came
        since, is still the one asked for.
        """
        values = changed(self)
        return {
            k: v for k, v in values.items() if k not in ("out", "overwrite")
        }

    @property
    def work(self) -> str:
        """Folder for files between stages; removed when the job is done."""
        return storage.join(self.out, dataset_folder.WORK)


def parse_rules(names: Sequence[str]) -> tuple[Rule, ...]:
    """Returns rules by name.

    Raises:
        InputError: no such rule, or `annotated`: what an image was annotated
            with is all there is to start from.
    """
    rules = [rule for rule in Rule if rule is not Rule.ANNOTATED]
    return tuple(_named(rules, name, "--without-rule") for name in names)


def parse_sources(names: Sequence[str]) -> tuple[Source, ...]:
    """Returns sources by name.

    Raises:
        InputError: no such source.
    """
    return tuple(_named(Source, name, "--without-source") for name in names)


def _named(members: Any, name: str, option: str) -> Any:
    known = {member.name.lower(): member for member in members}
    if name.lower() not in known:
        raise InputError(
            f"{option}: one of {', '.join(known)}; received: {name}"
        )
    return known[name.lower()]


@dataclass(frozen=True)
class RelabelOptions(Options):
    """What to change."""

    dataset: Annotated[str, Option("Folder of a data set.", argument=True)]
    out: Annotated[str, Option("Folder of the new data set.", path=True)]
    cooccurrence: Annotated[
        str | None,
        Option("Pairs that `tagforest cooccurrence` found.", path=True),
    ] = None
    without_rules: Annotated[
        Collection[Rule],
        Option(
            "Switch a rule off: ancestor, co_occurrence or parent.",
            flag="--without-rule",
            typed=list[str],
            parse=parse_rules,
        ),
    ] = ()
    without_sources: Annotated[
        Collection[Source],
        Option(
            "Leave out annotations of a source, for example "
            "open_images_machine.",
            flag="--without-source",
            typed=list[str],
            parse=parse_sources,
        ),
    ] = ()
    corrections: Annotated[
        tuple[str, ...],
        Option(
            "Corrected labels, CSV or JSON, as `tagforest audit` makes them; "
            "they overrule all sources.",
            path=True,
        ),
    ] = ()
    overwrite: Annotated[bool, Option("Replace another data set in OUT.")] = (
        False
    )

    def described(self) -> dict[str, Any]:
        """Returns what decides the content, for the manifest."""
        return {
            "cooccurrence": self.cooccurrence,
            "without_rules": sorted(r.name.lower() for r in self.without_rules),
            "without_sources": sorted(
                s.name.lower() for s in self.without_sources
            ),
            **(
                {"corrections": list(self.corrections)}
                if self.corrections
                else {}
            ),
        }
