"""Finds what a training is to start from, and refuses what does not fit.

A source is a training's working directory, an export, a TensorFlow 1 checkpoint
as the released code writes them, a weights file of keras.applications, or a
preset of KerasHub. No TensorFlow here: a wrong one is refused before it loads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beam_jobs.classes.load_classes import VOCABULARY, load_vocabulary
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.backbone_names import KERAS_HUB, RESNET_V2
from model.checkpoint_files import weights_file
from model.config import Config, NetworkConfig
from model.start import preset
from model.workdir import CONFIG, WEIGHTS_SHA256

TRAINING, EXPORT, RELEASED = "training", "export", "TF1 checkpoint"
APPLICATION, PRESET = "weights file", "KerasHub preset"
# The fields that weights of a backbone belong to.
_FIELDS = (
    *("backbone", "block", "blocks", "filters", "strides", "squeeze"),
    *("stem_filters", "stem_kernel", "stem_stride", "batch_norm_epsilon"),
)
# Of an export's assets: which of its variables is which weight.
WEIGHT_NAMES = "weights.tsv"
_INDEX = ".index"
_WEIGHTS = (".h5", ".keras")
_DATA = ".data-"


@dataclass(frozen=True)
class Source:
    """What weights come from.

    Attributes:
        kind: TRAINING, EXPORT, RELEASED, APPLICATION or PRESET.
        path: a folder; of a TF1 checkpoint its prefix.
        files: its weights.
        config: it was trained with, of a preset its network; None for a TF1
            checkpoint and a weights file.
        vocabulary: of its head; None if it is not known.
    """

    kind: str
    path: Path
    files: tuple[Path, ...]
    config: Config | None = None
    vocabulary: Vocabulary | None = None

    def __str__(self) -> str:
        return f"the {self.kind} {self.path}"

    @property
    def sha256(self) -> str:
        """Of the weights' files, hex."""
        digests = "".join(storage.sha256(path) for path in self.files)
        return hashlib.sha256(digests.encode()).hexdigest()


def find(source: str) -> Source:
    """Returns what lies there.

    Raises:
        InputError: nothing, nothing of these kinds, or half of one.
    """
    path = Path(source)
    if (config := preset.read(path)) is not None:
        return Source(PRESET, path, (path / preset.WEIGHTS,), config)
    if (path / CONFIG).is_file():
        found = weights_file(path)
        return Source(TRAINING, path, (found,), *_described(path))
    if folder := _version_folder(path):
        return _export(folder)
    if path.suffix in _WEIGHTS and path.is_file():
        return Source(APPLICATION, path, (path,))
    if prefix := _prefix(path):
        data = f"{prefix.name}{_DATA}*"
        parts = sorted(prefix.parent.glob(data.replace("[", "[[]")))
        if not parts:
            raise InputError(f"{prefix}{_INDEX} has no {data} beside it")
        index = prefix.with_name(prefix.name + _INDEX)
        return Source(RELEASED, prefix, (index, *parts))
    raise InputError(
        "a training starts from the --workdir of another one, an export, the "
        "prefix of a TensorFlow 1 checkpoint, a weights file (.h5) of "
        "keras.applications, or a KerasHub preset's folder; received: "
        f"{source}, which "
        + ("is none of them" if path.exists() else "does not exist")
    )


def config_of(source: str | None, given: Config | None) -> Config:
    """Returns the config to go on with: the given one, or the source's.

    Raises:
        InputError: there is none.
    """
    found = None if source is None else find(source).config
    config = given or found
    if config is None:
        raise InputError(
            "name the network with --config: "
            + ("there is no --from" if source is None else f"{source} has none")
        )
    return config


def check_network(source: Source, network: NetworkConfig) -> None:
    """Checks that a backbone's weights fit, as far as its config is known.

    Raises:
        InputError: names the fields that differ.
    """
    if source.kind == APPLICATION and network.backbone == RESNET_V2:
        raise InputError(
            f"{source} is of a network of keras.applications: name it with "
            "--set network.backbone=ResNet50V2 for example"
        )
    if source.config is None:
        return
    place = source.path / ("assets" if source.kind == EXPORT else "") / CONFIG
    cure = f"--config {place} has them"
    if source.kind == PRESET:
        cure = f"--set network.backbone={KERAS_HUB} takes it from there"
    check_same(source, source.config.network, network, cure)


def check_same(
    source: Source, theirs: NetworkConfig, ours: NetworkConfig, cure: str
) -> None:
    """Raises InputError unless two backbones have the same weights."""
    wrong = [
        f"network.{name} is {getattr(theirs, name)!r:.80} there, "
        f"{getattr(ours, name)!r:.80} here"
        for name in _fields(theirs, ours)
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if wrong:
        raise InputError(
            f"{source} is of another network: {', '.join(wrong)}; {cure}"
        )


def _fields(theirs: NetworkConfig, ours: NetworkConfig) -> tuple[str, ...]:
    if theirs.backbone != ours.backbone:
        return ("backbone",)
    return _FIELDS if ours.backbone == RESNET_V2 else ("preset",)


def common_classes(
    vocabulary: Vocabulary, theirs: Vocabulary | None
) -> list[tuple[int, int]]:
    """Returns (index here, index there) of the classes that both have.

    Each counts under its own id, merged and removed ones too. But a class that
    was so there and has labels here is a new one: it was never learned.
    """
    known = {c.wnid: c for c in theirs or ()}
    return [
        (c.index, known[c.wnid].index)
        for c in vocabulary
        if c.wnid in known and (known[c.wnid].is_active or not c.is_active)
    ]


def _described(folder: Path) -> tuple[Config, Vocabulary]:
    text = (folder / CONFIG).read_text(encoding="utf-8")
    return Config.from_json(text), load_vocabulary(folder)


def _export(folder: Path) -> Source:
    files = sorted((folder / "variables").glob("variables.*"))
    assets = folder / "assets"
    for name in (CONFIG, WEIGHTS_SHA256, WEIGHT_NAMES, VOCABULARY):
        if not (assets / name).is_file():
            raise InputError(
                f"{folder} does not say how it was trained (no assets/{name}): "
                "export its training again, or start from that"
            )
    return Source(EXPORT, folder, tuple(files), *_described(assets))


def _version_folder(path: Path) -> Path | None:
    """Returns the SavedModel, of several versions the newest."""
    if (path / "saved_model.pb").is_file():
        return path
    found = [p.parent for p in path.glob("*/saved_model.pb")]
    versions = [p for p in found if p.name.isdecimal()]
    return max(versions, key=lambda p: int(p.name), default=None)


def _prefix(path: Path) -> Path | None:
    """Returns the prefix of a TF1 checkpoint: given, its index or folder."""
    if path.is_dir():
        found: Sequence[Path] = sorted(path.glob(f"*{_INDEX}"))
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise InputError(
                f"{path} has several checkpoints: name one of {names}"
            )
        return found[0].with_suffix("") if found else None
    if path.suffix == _INDEX and path.is_file():
        return path.with_suffix("")
    if os.path.isfile(f"{path}{_INDEX}"):
        return path
    return None
