"""Whether a data set has room on its disk, before the job starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.sources.find_sources import Sources

# Of a record's labels, in shards and in files between stages.
_RECORD_BYTES = 300


def check_disk(options: DatasetOptions, sources: Sources) -> None:
    """Checks that the folder of a data set can be written, and has room.

    Raises:
        InputError: it cannot, or has not; never for an object store.
    """
    if storage.is_remote(options.out):
        return
    folder = Path(options.out).absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise InputError(f"--out: {folder} cannot be written")
    free = shutil.disk_usage(folder).free
    needed = _bytes_needed(options, sources)
    if needed > free:
        raise InputError(
            f"too little disk: about {needed / 1e9:.3g} GB needed in "
            f"{folder}, {free / 1e9:.3g} GB free"
        )


def _bytes_needed(options: DatasetOptions, sources: Sources) -> float:
    """Returns about how many bytes the records take."""
    labels = sources.estimated_images * _RECORD_BYTES
    if options.images.labels_only:
        return labels
    images = sum(size for _, size in sources.listing)
    unpacked = sources.packed_bytes
    for folder in sources.listed_images:
        # A list may name a few of a folder's images.
        share = sources.estimated_images / max(1, folder.files)
        images += int(folder.size * min(1, share))
    # Records repeat the images; converted ones may grow a little.
    return labels + images * 1.2 + unpacked
