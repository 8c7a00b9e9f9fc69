"""The backbone's features of all training images, computed once.

Where the backbone does not train, a head can learn of them in minutes: no
image is decoded again, and none is augmented.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from beam_jobs.dataset import dataset_folder
from model import workdir as files
from model.config import Config
from model.full_disk import writing
from model.inputs import input_pipeline, record_counts
from model.network.tagger import Tagger

# Images that go through the backbone at once.
_BATCH = 64


def cached(
    tagger: Tagger, config: Config, dataset: str, workdir: Path
) -> np.ndarray:
    """Returns the features of the training split; computes what is missing.

    Args:
        tagger: with the backbone's final weights.
        workdir: keeps them, in `features.npy`.

    Returns:
        float32 [records, filters], by the records' numbers; on the disk, not
        in memory.

    Raises:
        InputError: a record is damaged, or the disk is full.
    """
    path = workdir / files.FEATURES
    if not path.is_file():
        count = len(record_counts.open_index(dataset, workdir))
        width = int(tagger.head.kernel.shape[0])
        with writing(workdir, path.name, 4 * count * width):
            _compute(tagger, config, dataset, path, (count, width))
    return np.load(path, mmap_mode="r")


def _compute(
    tagger: Tagger,
    config: Config,
    dataset: str,
    path: Path,
    shape: tuple[int, int],
) -> None:
    start = time.monotonic()
    print(f"computing the features of {shape[0]} images, once", flush=True)
    partial = path.with_name(f"partial-{path.name}")
    found = np.lib.format.open_memmap(partial, "w+", np.float32, shape)
    batches = input_pipeline.make_eval_dataset(
        dataset,
        config.data,
        classes=tagger.classes,
        batch_size=_BATCH,
        split=dataset_folder.TRAIN,
    )

    @tf.function(reduce_retracing=True)
    def embed(images):
        return tf.cast(tagger.embed(images), tf.float32)

    done = 0
    with tqdm(total=shape[0], unit=" images", disable=None) as bar:
        for images, _ in batches:
            found[done : done + len(images)] = embed(images)
            done += len(images)
            bar.update(len(images))
    if done != shape[0]:
        raise AssertionError(f"{done} of {shape[0]} records came")
    found.flush()
    os.replace(partial, path)
    seconds = time.monotonic() - start
    print(f"features of {done} images: {done / seconds:.0f} images/s")
