"""Makes the model of a run again, and names its weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import keras

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.errors import InputError
from model.checkpoint_files import weights_file
from model.config import Config
from model.config_sections import TAGS
from model.network.make_model import make_model
from model.network.tagger import Tagger
from model.network.task_model import TaskModel
from model.workdir import CONFIG


def weights_sha256(variables: Iterable[Any]) -> str:
    """Returns the SHA-256 (hex) over the values of variables, in order."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def weights_fingerprint(model: TaskModel) -> str:
    """Returns the SHA-256 (hex) over all weights that give the answers."""
    # Not `runs`, the state of the loss: no score depends on it.
    return weights_sha256([*model.backbone.weights, *model.head.weights])


def load_model(workdir: str | os.PathLike[str]) -> TaskModel:
    """Returns the model that `train` left in a working directory.

    The final weights, or those of the last finished epoch while the training
    is not over.

    Raises:
        InputError: nothing has been trained there yet, or the weights are
            not those of its config's network.
    """
    folder = Path(workdir)
    config = _config(folder)
    vocabulary = load_vocabulary(folder)
    weights = weights_file(folder)
    model = make_model(config, len(vocabulary))
    read_weights(model, weights)
    return model


def read_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a file.

    Raises:
        InputError: no such file, or of another network.
    """
    try:
        model.load_weights(path)
    # Keras and h5py raise many kinds for what is no such file.
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{path} cannot be read as weights of this network: {said[:300]}"
        ) from error


def load_tagger(workdir: str | os.PathLike[str]) -> Tagger:
    """Returns the tagger that `train` left in a working directory.

    Raises:
        InputError: no tagger, or nothing has been trained there yet.
    """
    task = _config(Path(workdir)).head.task
    if task != TAGS:
        raise InputError(
            f"{workdir} holds a model of the task {task}; a tagger is needed"
        )
    return cast(Tagger, load_model(workdir))


def _config(folder: Path) -> Config:
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} holds no training (no {CONFIG}); `tagforest train "
            f"DATASET --workdir {folder}` makes one"
        )
    return Config.from_json((folder / CONFIG).read_text(encoding="utf-8"))
