"""Which of an export's variables is which weight, so that others start from it.

A SavedModel's variables are numbered as its functions met them. The checkpoint
that was written is looked at: equal arrays may stand for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model.start.sources import WEIGHT_NAMES

_HEADER = "weight\tvariable"


def write(weights: Mapping[str, Any], version_dir: Path) -> None:
    """Writes `assets/weights.tsv`: a weight's name, and its variable's.

    Args:
        weights: Keras variables by their names.
        version_dir: a SavedModel that has them all.
    """
    reader = tf.train.load_checkpoint(
        str(version_dir / "variables" / "variables")
    )
    types = reader.get_variable_to_dtype_map()
    found = {
        _content(reader.get_tensor(name)): name
        for name in sorted(types)
        if types[name].is_floating
    }
    rows = [
        f"{name}\t{found[_content(np.asarray(weight))]}"
        for name, weight in weights.items()
    ]
    text = "\n".join([_HEADER, *rows]) + "\n"
    path = version_dir / "assets" / WEIGHT_NAMES
    path.write_text(text, encoding="utf-8")


def _content(array: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    return array.shape, hashlib.sha256(array.tobytes()).digest()
