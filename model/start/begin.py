"""Starts a training from the weights of a source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.errors import InputError
from beam_jobs.option_fields import from_mapping
from model import workdir as files
from model.backbone_names import KERAS_HUB, check_kerashub
from model.config import Config, StartConfig
from model.config_sections import STAGES
from model.loss_kinds import SOFTMAX
from model.start import sources
from model.start.sources import Source

# Of names that are shown.
_SHOWN = 3


@dataclass(frozen=True)
class Start:
    """What a training started from, as its workdir says.

    Attributes:
        source: as it was given.
        kind, sha256: see `sources.Source`.
        classes: indices here of the classes that the source has.
        places: their indices there.
        theirs: classes of the source; 0 if it does not name them.
    """

    source: str
    kind: str
    sha256: str
    classes: tuple[int, ...]
    places: tuple[int, ...]
    theirs: int


def described(config: Config, workdir: Path, restart: bool) -> Config:
    """Returns a config that says which network of KerasHub it has, if any.

    What was begun has it in its workdir, and needs its source no more.

    Raises:
        InputError: KerasHub is not installed, or no source has such a one.
    """
    network, source = config.network, config.start.source
    if network.backbone != KERAS_HUB:
        return config
    check_kerashub()
    if network.preset:
        return config
    there, kept = None, workdir / files.CONFIG
    if kept.is_file() and not restart:
        there = Config.from_json(kept.read_text(encoding="utf-8"))
    if there is None or there.start.source != source:
        there = None if source is None else sources.find(source).config
    if there is None or not there.network.preset:
        raise InputError(
            f"network.backbone {KERAS_HUB} starts --from a preset's folder, "
            f"or from what was trained with it; received: {source}"
        )
    preset = there.network.preset
    return replace(config, network=replace(network, preset=preset))


def plan(config: Config, dataset: str, workdir: Path) -> Start | None:
    """Returns what a training is to start from; None for random weights.

    One that has begun needs its source no more: what its workdir says holds.

    Raises:
        InputError: no such source, or one of another network.
    """
    given = config.start.source
    if given is None:
        return None
    there = load(workdir)
    if there is not None and there.source == given:
        return there
    source = sources.find(given)
    sources.check_network(source, config.network)
    vocabulary = load_vocabulary(dataset)
    pairs = sources.common_classes(vocabulary, source.vocabulary)
    if config.start.take != "all":
        pairs = []
    elif source.config is not None and source.vocabulary is not None:
        _check_head(source, source.config, config)
    _check_classes(config.start, source, pairs, len(vocabulary))
    return Start(
        source=given,
        kind=source.kind,
        sha256=source.sha256,
        classes=tuple(here for here, _ in pairs),
        places=tuple(there for _, there in pairs),
        theirs=len(source.vocabulary or ()),
    )


def _check_head(source: Source, theirs: Config, ours: Config) -> None:
    """Checks that a head's logits mean the same."""
    if theirs.head.task != ours.head.task:
        raise InputError(
            f"{source} was trained for {theirs.head.task}, this training is "
            f"for {ours.head.task}: --set start.take=backbone takes the "
            "backbone alone"
        )
    kinds = [config.loss.kind for config in (theirs, ours)]
    if (kinds[0] == SOFTMAX) != (kinds[1] == SOFTMAX):
        raise InputError(
            f"{source} has the loss {kinds[0]}, this training {kinds[1]}: one "
            "class an image and many are no head for each other; --set "
            "start.take=backbone takes the backbone alone"
        )


def _check_classes(
    start: StartConfig,
    source: Source,
    pairs: Sequence[tuple[int, int]],
    classes: int,
) -> None:
    frozen = {"backbone", "old_classes"}.issubset(start.freeze)
    if len(pairs) == classes and frozen:
        raise InputError(
            f"nothing would train: {source} has all classes of the data set; "
            "freeze the backbone or the old classes"
        )
    if start.take != "all" or pairs:
        return
    if source.vocabulary is not None:
        raise InputError(
            f"{source} and the data set have no class in common: "
            "--set start.take=backbone takes the backbone alone"
        )
    if "old_classes" in start.freeze:
        raise InputError(
            f"{source} does not name its classes: none can be frozen"
        )


def save(start: Start, workdir: Path) -> None:
    """Writes it into a workdir."""
    files.write_json(workdir / files.START, asdict(start))


def load(workdir: Path) -> Start | None:
    """Returns what the training in a workdir started from."""
    values = files.read_json(workdir / files.START, None)
    return None if values is None else from_mapping(Start, values)


def freeze(tagger: Any, start: Start | None) -> None:
    """Lets train what is to train; before the optimizer is built."""
    frozen = set(tagger.config.start.freeze)
    if "backbone" in frozen:
        tagger.backbone.trainable = False
    if "old_classes" in frozen and start is not None:
        tagger.keep_classes(start.classes)
    if frozen - {"backbone", "old_classes"}:
        _freeze_layers(tagger.backbone, frozen)


def _freeze_layers(backbone: Any, frozen: Collection[str]) -> None:
    import keras

    from model.network.leaf_layers import leaves

    parts = tuple(f"{p}_" for p in ("stem", *STAGES) if p in frozen)
    for layer in leaves(backbone):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if layer.name.startswith(parts) or (is_norm and "statistics" in frozen):
            layer.trainable = False


def begin(tagger: Any, start: Start) -> Iterator[str]:
    """Gives an untrained tagger a source's weights; yields what was done.

    The head's other columns stay as they are.

    Raises:
        InputError: the source is gone, changed, or does not fit.
    """
    from model.start import load_weights

    source = sources.find(start.source)
    if source.sha256 != start.sha256:
        raise InputError(
            f"{source} is not what the training was begun with: it changed, "
            "or this worker sees another one; --restart begins anew"
        )
    weights = load_weights.load(source, tagger.config.network)
    yield f"started from {source}: its backbone, {len(weights.backbone)} arrays"
    for name, variable in load_weights.backbone_weights(tagger.backbone):
        variable.assign(weights.backbone[name])
    here, there = list(start.classes), list(start.places)
    if here and weights.kernel is not None and weights.bias is not None:
        kernel, bias = tagger.head.weights
        kernel.assign(_columns(kernel, here, weights.kernel[:, there]))
        bias.assign(_columns(bias, here, weights.bias[there]))
        if weights.runs is not None:
            runs = weights.runs[:, there]
            tagger.runs.assign(_columns(tagger.runs, here, runs))
    yield _of_head(tagger, start)
    if weights.left:
        names = ", ".join(weights.left[:_SHOWN])
        yield f"not taken: {len(weights.left)} other variables ({names}, ...)"
    if tagger.config.start.freeze:
        yield f"does not train: {', '.join(tagger.config.start.freeze)}"


def _columns(variable: Any, here: list[int], values: np.ndarray) -> np.ndarray:
    whole = np.array(variable.numpy())
    whole[..., here] = values
    return whole


def _of_head(tagger: Any, start: Start) -> str:
    taken, classes = len(start.classes), tagger.classes
    if tagger.config.start.take != "all":
        return "its head is left, as start.take says"
    if start.kind in (sources.APPLICATION, sources.PRESET):
        return "a head of its own begins with it"
    if not start.theirs:
        return (
            "its head is left: a TF1 checkpoint does not name its classes; "
            "`tagforest import-tf1` gives them to it"
        )
    return (
        f"of its head's {start.theirs} classes {taken}, which the data set "
        f"has; {classes - taken} new ones begin as frequent as they are"
    )
