"""Makes the tagger of a run again, and names its weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.errors import InputError
from model.checkpoint_files import weights_file
from model.config import Config
from model.network.tagger import Tagger
from model.workdir import CONFIG


def weights_sha256(variables: Iterable[Any]) -> str:
    """Returns the SHA-256 (hex) over the values of variables, in order."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def weights_fingerprint(tagger: Tagger) -> str:
    """Returns the SHA-256 (hex) over all weights that give the scores."""
    # Not `runs`, the state of the loss: no score depends on it.
    return weights_sha256([*tagger.backbone.weights, *tagger.head.weights])


def load_tagger(workdir: str | os.PathLike[str]) -> Tagger:
    """Returns the tagger that `train` left in a working directory.

    The final weights, or those of the last finished epoch while the training
    is not over.

    Raises:
        InputError: nothing has been trained there yet.
    """
    folder = Path(workdir)
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} holds no training (no {CONFIG}); `tagforest train "
            f"DATASET --workdir {folder}` makes one"
        )
    config = Config.from_json((folder / CONFIG).read_text(encoding="utf-8"))
    vocabulary = load_vocabulary(folder)
    weights = weights_file(folder)
    tagger = Tagger(config, len(vocabulary))
    tagger.load_weights(weights)
    return tagger
