"""What lies where in a training's working directory (no TensorFlow here).

config.json         the Config
vocabulary.tsv      copied from the data set, as hierarchy.tsv
dataset.json        which data set it is
dataset_path.txt    where it lay
start.json          what it started from, and the classes that came with it
features.npy        of a backbone that does not train, by record
counts.json         what had to be counted in its records
checkpoints/        see `model.checkpoint_files`
model.weights.h5    the final weights; where they lie, the training is over
result.json         what it ended with
history.json        a row an epoch
classification.json what a classifier is worth, see `model.transfer`
detection.json      likewise of a detector
segmentation.json   and of a segmenter
extensions.json     what `--extend` changed, and when; its notes name the
                    weights that were final before
logs/               TensorBoard
tracked_run.txt     which run of an experiment tracker it is
train.log           what the training said, with times
workers/            what each worker ended with, and what it passed over
damaged_records.txt what all have passed over, a line a record
record_index/       offsets of records that do not lie beside their shards
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
# Of an export's assets: of the weights that give its scores.
WEIGHTS_SHA256 = "weights_sha256.txt"
HISTORY = "history.json"
CLASSIFICATION = "classification.json"
DETECTION = "detection.json"
SEGMENTATION = "segmentation.json"
EXTENSIONS = "extensions.json"
RESULT = "result.json"
DATASET = "dataset.json"
DATASET_PATH = "dataset_path.txt"
START = "start.json"
FEATURES = "features.npy"
COUNTS = "counts.json"
LOGS = "logs"
TRACKED = "tracked_run.txt"
LOG = "train.log"
WORKERS = "workers"
DAMAGED = "damaged_records.txt"
RECORD_INDEX = "record_index"


def check_trained(workdir: Path, dataset: str) -> None:
    """Raises InputError for a folder that is not there, before the long work.

    Args:
        dataset: that it is to be judged by; for the message.
    """
    if not workdir.is_dir():
        raise InputError(
            f"no such folder: {workdir}; `tagforest train {dataset} "
            f"--workdir {workdir}` makes one"
        )


def damaged_of(workdir: Path, worker: int) -> Path:
    """Returns the list of damaged records that a worker passed over."""
    return workdir / WORKERS / f"damaged-{worker}.txt"


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON with sorted keys; nobody sees half of it."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    storage.write_text(path, text)


def read_json(path: Path, default: Any) -> Any:
    """Returns a JSON file's value, or the default where there is none."""
    if not path.is_file():
        return default
    return json.loads(path.read_text(encoding="utf-8"))
