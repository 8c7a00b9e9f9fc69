"""Files of features, read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.features import feature_files


def read(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Returns the paths, and the embeddings [images, filters]."""
    embeddings = np.concatenate(list(feature_files.read_embeddings(path)))
    return feature_files.read_paths(path, range(len(embeddings))), embeddings
