"""What an export answers to held-out images: the reference of drift."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.record_index import count_records
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model.inputs.input_pipeline import as_input_errors
from serving.api import contract
from serving.saved_model.reference_options import ReferenceOptions
from serving.saved_model.servable import Servable
from serving.traffic.log_format import image_rows
from serving.traffic.tallies import REFERENCE, Tally

_BATCH = 32


def check_reference(options: ReferenceOptions) -> None:
    """Checks, before anything is exported, that there are images.

    Raises:
        InputError: no such data set or split, or nothing in it.
    """
    if options.dataset is None:
        return
    tensorflow_files.register(options.dataset)
    if not count_records(options.dataset, options.split):
        raise InputError(
            f"{options.dataset} has no {options.split} images; choose another "
            "with --reference-split"
        )


def write_reference(version_dir: Path, options: ReferenceOptions) -> Path:
    """Asks an export for held-out images, and keeps the counts in its assets.

    Args:
        options: their data set is not None.

    Returns:
        The file.

    Raises:
        InputError: a damaged shard, or records without images.
    """
    dataset = options.dataset or ""
    vocabulary, hierarchy = load_classes.load_folder(version_dir / "assets")
    tally = Tally(vocabulary, hierarchy)
    with as_input_errors(dataset):
        images = held_out_images(dataset, options.split, options.most)
        count_answers(Servable(version_dir), images, tally)
    path = version_dir / "assets" / REFERENCE
    # Where it lies differs from machine to machine; what it is does not.
    name = os.path.basename(os.path.normpath(dataset))
    tally.save(path, {"data_set": name, "split": options.split})
    return path


def count_answers(
    servable: Servable, images: Iterable[bytes], tally: Tally
) -> None:
    """Adds what a tagger answers to images.

    Args:
        images: files.
        tally: of its classes.
    """
    rest = iter(images)
    while batch := list(islice(rest, _BATCH)):
        inputs = {contract.IMAGE_BYTES: np.empty(len(batch), object)}
        inputs[contract.IMAGE_BYTES][:] = batch
        # As the log of a server would say it.
        for row in image_rows(inputs, servable.run(contract.TAGS, inputs)):
            tally.add(row)


def held_out_images(dataset: str, split: str, most: int) -> Iterator[bytes]:
    """Yields image files that lie evenly in a split, always the same.

    Raises:
        InputError: a record without an image, as of labels only.
    """
    total = count_records(dataset, split)
    wanted = {*np.linspace(0, total - 1, min(most, total)).astype(int).tolist()}
    spec = records.feature_spec(records.IMAGE_ENCODED)
    shards = tf.data.TFRecordDataset(dataset_folder.shard_paths(dataset, split))
    for place, record in enumerate(shards):
        if place not in wanted:
            continue
        parsed = tf.io.parse_single_example(record, spec)
        encoded = parsed[records.IMAGE_ENCODED].numpy()
        if not encoded:
            raise InputError(
                f"{dataset} holds labels only; a reference needs images"
            )
        yield encoded
