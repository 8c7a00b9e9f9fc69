"""What lies where in a training's working directory (no TensorFlow here).

config.json         the Config
vocabulary.tsv      copied from the data set, as hierarchy.tsv
dataset.json        which data set it is
counts.json         what had to be counted in its records
checkpoints/        see `model.training.checkpoint_files`
model.weights.h5    the final weights
history.json        a row an epoch
logs/               TensorBoard
workers/            what each worker ended with
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
HISTORY = "history.json"
RESULT = "result.json"
DATASET = "dataset.json"
COUNTS = "counts.json"
LOGS = "logs"
WORKERS = "workers"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON with sorted keys."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path, default: Any) -> Any:
    """Returns a JSON file's value, or the default where there is none."""
    if not path.is_file():
        return default
    return json.loads(path.read_text(encoding="utf-8"))
