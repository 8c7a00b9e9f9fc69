"""What one training run is made of: frozen, validated, saved as JSON.

A config module (`model/configs/*.py`, or any Python file) offers
`get_config() -> Config`. Single fields are changed on the command line with
`--set schedule.epochs=3`. This module imports no TensorFlow.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Limits, nested, typed_fields
from model.backbone_names import RESNET_V2
from model.config_checks import Section
from model.config_data import DataConfig
from model.config_outputs import CheckpointConfig, LoggingConfig
from model.config_sections import (
    BEST_FIGURES,
    OF_MASKS,
    OF_SOFTMAX,
    RESNET_BLOCKS,
    SEGMENTATION,
    TAGS,
    HeadConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
    StartConfig,
)
from model.loss_kinds import SOFTMAX

__all__ = [
    "RESNET_BLOCKS",
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "HeadConfig",
    "LoggingConfig",
    "LossConfig",
    "NetworkConfig",
    "ScheduleConfig",
    "StartConfig",
    "config_names",
    "load_config",
    "override",
]


@dataclass(frozen=True)
class Config(Section):
    """A whole training run.

    Attributes:
        name: shown in messages.
        seed: of the weights, the order, the augmentation and the loss.
    """

    name: str = "paper_resnet101"
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    start: StartConfig = field(default_factory=StartConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    seed: Annotated[int, Limits(min=0, max=2**31 - 1)] = 0

    def __post_init__(self):
        super().__post_init__()
        kind = self.loss.kind
        if self.head.task == TAGS and self.schedule.best not in _figures(kind):
            self.schedule.refuse("best", f"a figure of loss.kind {kind}")
        if self.schedule.layer_decay != 1 and (
            self.network.backbone != RESNET_V2
        ):
            self.schedule.refuse("layer_decay", f"1 without {RESNET_V2}")
        if self.head.task != TAGS:
            self._check_regions()
        if self.start.cache_features and self.data.mixes:
            self.start.refuse("cache_features", "False where images are mixed")

    def _check_regions(self) -> None:
        """Checks what boxes and masks do not go with."""
        of = f"with head.task {self.head.task}"
        for section, name, allowed in (
            # Of the whole image they are, and no part of it is lost.
            (self.data, "framing", "whole"),
            # A turned box is no box.
            (self.data, "rotation_probability", 0),
            (self.data, "mixup_alpha", 0),
            (self.data, "cutmix_alpha", 0),
            (self.start, "cache_features", False),
            # Whose maps are where is known.
            (self.network, "backbone", RESNET_V2),
            (self.network, "mirrored", False),
        ):
            if getattr(section, name) != allowed:
                section.refuse(name, f"{allowed} {of}")
        figures: tuple[str | None, ...] = (None, "loss")
        if self.head.task == SEGMENTATION:
            figures += OF_MASKS
        if self.schedule.best not in figures:
            words = ", ".join(map(str, figures))
            self.schedule.refuse("best", f"one of {words} {of}")
        if self.start.source is not None and self.start.take == "all":
            self.start.refuse("take", f"backbone {of}")

    def to_json(self) -> str:
        """Returns the config as indented JSON with sorted keys."""
        values = dataclasses.asdict(self)
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    def to_result_json(self) -> str:
        """Returns only the fields that the trained weights depend on."""
        values = dataclasses.asdict(self)
        for name in _WITHOUT_EFFECT:
            section, _, field_name = name.rpartition(".")
            del (values[section] if section else values)[field_name]
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Reads what `to_json` wrote.

        Raises:
            InputError: not JSON, an unknown field, or a wrong value.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"the config is not JSON: {error}") from None
        for section, name in _GONE:
            there = values.get(section) if isinstance(values, dict) else None
            if isinstance(there, dict):
                there.pop(name, None)
        return _from_mapping(cls, values, "")


def _figures(kind: str) -> set[str | None]:
    """Returns what `schedule.best` may be of images with tags."""
    if kind == SOFTMAX:
        return {None, "loss", *OF_SOFTMAX}
    return {None, *BEST_FIGURES} - {*OF_SOFTMAX, *OF_MASKS}


# A training may go on with other ones.
_WITHOUT_EFFECT = (
    "name",
    "logging",
    "checkpoint",
    "data.read_ahead",
    "data.skip_damaged",
)
# Fields of earlier versions, which no result depends on any more.
_GONE = (("data", "shuffle_buffer"),)
_C = TypeVar("_C")


def load_config(name_or_path: str | os.PathLike[str]) -> Config:
    """Returns a shipped config by name, or one from a Python or JSON file.

    Raises:
        InputError: no such config or file, or it offers no get_config().
    """
    text = os.fspath(name_or_path)
    if text.endswith(".json"):
        return Config.from_json(_read(Path(text)))
    if text.endswith(".py"):
        module = _module_from_file(Path(text))
    elif text in config_names():
        module = importlib.import_module(f"model.configs.{text}")
    else:
        raise InputError(
            f"no config is called {text!r}; there are: "
            f"{', '.join(config_names())}; or name a .py or .json file"
        )
    config = module.get_config() if hasattr(module, "get_config") else None
    if not isinstance(config, Config):
        raise InputError(
            f"{text} must offer get_config(), returning a model.config.Config"
        )
    return config


def config_names() -> list[str]:
    """Returns the names of the shipped configs, sorted."""
    folder = Path(__file__).with_name("configs")
    return sorted(p.stem for p in folder.glob("[!_]*.py"))


def override(config: Config, changes: Iterable[str]) -> Config:
    """Returns the config with changes such as `schedule.epochs=3` made.

    Raises:
        InputError: no such field, or a value that it does not take.
    """
    values = json.loads(config.to_json())
    for change in changes:
        path, equals, text = change.partition("=")
        section, dot, name = path.strip().partition(".")
        place = values.get(section) if dot else values
        key = name if dot else section
        known = isinstance(place, dict) and key in place
        if not equals or not known or isinstance(place[key], dict):
            raise InputError(_cannot_set(change, _field_paths(config)))
        place[key] = _parse_value(text.strip())
    return _from_mapping(Config, values, "")


def _cannot_set(change: str, paths: list[str]) -> str:
    near = difflib.get_close_matches(change.partition("=")[0], paths, n=1)
    if near:
        return f"cannot set {change!r}: did you mean {near[0]}=VALUE?"
    return (
        f"cannot set {change!r}: write FIELD=VALUE with one of the fields "
        f"{', '.join(paths)}"
    )


def _field_paths(config: Config) -> list[str]:
    paths = []
    for f in dataclasses.fields(config):
        inner = getattr(config, f.name)
        if dataclasses.is_dataclass(inner):
            names = [i.name for i in dataclasses.fields(inner)]
            paths += [f"{f.name}.{name}" for name in names]
        else:
            paths.append(f.name)
    return paths


def _parse_value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _from_mapping(cls: type[_C], values: Any, prefix: str) -> _C:
    if not isinstance(values, Mapping):
        raise InputError(
            f"config {prefix.rstrip('.') or 'file'} must hold named fields; "
            f"received: {values!r}"
        )
    names = list(typed_fields(cls))
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise InputError(
            f"unknown config field {prefix}{unknown[0]}; allowed: "
            f"{', '.join(prefix + name for name in names)}"
        )
    arguments = {}
    for name, value in values.items():
        section, _ = nested(typed_fields(cls)[name][0])
        if section is not None:
            value = _from_mapping(section, value, f"{name}.")
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return cls(**arguments)


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"no such config file: {path}")
    return path.read_text(encoding="utf-8")


def _module_from_file(path: Path) -> Any:
    _read(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:  # the file is the user's: anything may happen
        raise InputError(
            f"{path} cannot be read as a config: "
            f"{type(error).__name__}: {error}"
        ) from error
    return module
