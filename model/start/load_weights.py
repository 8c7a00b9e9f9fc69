"""Reads the weights of a source into arrays, whatever its format is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv
from model.config import NetworkConfig
from model.network.applications import build_application
from model.network.kerashub import LAYER, build_kerashub
from model.network.load_tagger import read_weights, weights_sha256
from model.network.make_model import make_model
from model.network.tagger import Tagger
from model.network.task_model import TaskModel
from model.start import released_names, sources
from model.start.sources import (
    APPLICATION,
    EXPORT,
    PRESET,
    RELEASED,
    Source,
)
from model.workdir import CONFIG, WEIGHTS_SHA256

# Of an export's list of weights.
_HEADER = ("weight", "variable")


@dataclass(frozen=True)
class Weights:
    """What a source has.

    Attributes:
        backbone: arrays by their names, `stage1_block1_1_conv/kernel`.
        kernel, bias: of the head, float32 [features, classes] and [classes];
            None of a backbone alone.
        runs: state of the adaptive loss, float32 [2, classes]; None without
            one.
        left: names of variables that nobody takes.
    """

    backbone: Mapping[str, np.ndarray]
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    runs: np.ndarray | None = None
    left: Sequence[str] = ()


def load(source: Source, network: NetworkConfig) -> Weights:
    """Returns the weights of a source.

    Args:
        network: to be started, whose backbone must be the source's.

    Raises:
        InputError: a backbone of another kind or size, or a damaged file.
    """
    if source.kind == RELEASED:
        return _released(source, network)
    if source.kind == APPLICATION:
        return _application(source, network)
    if source.kind == PRESET:
        return _preset(source, network)
    sources.check_network(source, network)
    if source.config is None or source.vocabulary is None:
        raise ValueError(f"{source} is not described")
    tagger = make_model(source.config, len(source.vocabulary))
    if source.kind == EXPORT:
        _load_export(source, tagger)
    else:
        read_weights(tagger, source.files[0])
    backbone = _arrays(tagger.backbone)
    if not isinstance(tagger, Tagger):
        return Weights(backbone)
    kernel, bias = (w.numpy() for w in tagger.head.weights)
    return Weights(
        backbone,
        kernel,
        bias,
        runs=tagger.runs.numpy() if source.kind != EXPORT else None,
    )


def name_of(variable: Any) -> str:
    """Returns the layer's and the variable's name, joined by `/`."""
    return "/".join(variable.path.split("/")[-2:])


def backbone_weights(backbone: Any) -> Iterator[tuple[str, Any]]:
    """Yields the names of a backbone's variables, and the variables."""
    # KerasHub's may share a name, or be numbered anew each time one is made.
    numbered = any(layer.name == LAYER for layer in backbone.layers)
    for place, variable in enumerate(backbone.weights):
        name = f"{LAYER}/{place}" if numbered else name_of(variable)
        yield name, variable


def _arrays(backbone: Any) -> dict[str, np.ndarray]:
    return {name: w.numpy() for name, w in backbone_weights(backbone)}


def named_weights(tagger: Any) -> dict[str, Any]:
    """Returns the variables of backbone and head by their names."""
    head = {name_of(w): w for w in tagger.head.weights}
    return dict(backbone_weights(tagger.backbone)) | head


def _load_export(source: Source, tagger: TaskModel) -> None:
    reader = _reader(source, source.path / "variables" / "variables")
    rows = read_tsv(source.path / "assets" / sources.WEIGHT_NAMES, _HEADER)
    places = {name: place for _, (name, place) in rows}
    for name, variable in named_weights(tagger).items():
        variable.assign(_tensor(reader, places.get(name, name), variable))
    expected = source.path / "assets" / WEIGHTS_SHA256
    found = weights_sha256([*tagger.backbone.weights, *tagger.head.weights])
    if found != expected.read_text(encoding="utf-8").strip():
        raise InputError(
            f"{source} has other weights than its assets/{WEIGHTS_SHA256} "
            "says: start from its training, or export that again"
        )


def _application(source: Source, network: NetworkConfig) -> Weights:
    # Of another size than the images to come: the weights are the same.
    size = 331 if network.backbone.startswith("NASNet") else 224
    backbone = build_application(network, size)
    wanted = f"{network.backbone} without its top (..._notop.h5)"
    _load_layer(source, backbone.get_layer("application"), wanted)
    return Weights(_arrays(backbone))


def _preset(source: Source, network: NetworkConfig) -> Weights:
    if source.config is None:
        raise ValueError(f"{source} is not described")
    # Some backbones take images of one size alone, and it knows which.
    backbone = build_kerashub(network, source.config.data.image_size)
    _load_layer(source, backbone.get_layer(LAYER), f"its own {CONFIG}")
    return Weights(_arrays(backbone))


def _load_layer(source: Source, layer: Any, wanted: str) -> None:
    try:
        layer.load_weights(source.files[0])
    # Keras and h5py raise many kinds for a file of something else.
    except Exception as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{source} does not fit {wanted}: {said}") from error


def _released(source: Source, network: NetworkConfig) -> Weights:
    reader = _reader(source, source.path)
    theirs, shapes = released_network(source)
    # Strides leave no trace in weights.
    sources.check_same(
        source,
        theirs,
        network,
        "--config released_resnet101 has those of the 101 layers",
    )
    names = released_names.released_names(network)
    missing = [name for name in names.values() if name not in shapes]
    if missing:
        raise InputError(
            f"{source} has no {missing[0]}, and {len(missing) - 1} more of "
            f"{len(names)} variables are missing"
        )
    kernel, bias = map(reader.get_tensor, released_names.HEAD)
    return Weights(
        {ours: reader.get_tensor(name) for ours, name in names.items()},
        kernel,
        bias,
        left=list(released_names.unknown_names(shapes, network)),
    )


def released_network(
    source: Source,
) -> tuple[NetworkConfig, released_names.Shapes]:
    """Returns the network of a TF1 checkpoint, and its variables' shapes.

    Raises:
        InputError: it is damaged, or of another network.
    """
    reader = _reader(source, source.path)
    found = reader.get_variable_to_shape_map()
    shapes = {name: tuple(shape) for name, shape in found.items()}
    try:
        return released_names.network_of(shapes), shapes
    except InputError as error:
        raise InputError(f"{source} cannot be used: {error}") from error


def _reader(source: Source, prefix):
    try:
        return tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{source} cannot be read: {error}") from error


def _tensor(reader, name: str, variable) -> np.ndarray:
    if not reader.has_tensor(name):
        raise InputError(
            f"the export has no {name}: it was not made by tagforest"
        )
    found = reader.get_tensor(name)
    if found.shape != tuple(variable.shape):
        raise InputError(
            f"the export's {name} has the shape {found.shape}; "
            f"{tuple(variable.shape)} is needed"
        )
    return found
