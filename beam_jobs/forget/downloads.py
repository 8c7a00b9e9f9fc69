"""A folder of downloads, without the images of some URLs."""

from __future__ import annotations

import json
import os
import secrets

from beam_jobs.download import log
from beam_jobs.download.download import SUMMARY
from beam_jobs.files import storage
from beam_jobs.files.folder_lock import lock_folder
from beam_jobs.forget.letters import forget_lines, is_value_of, letters_in
from beam_jobs.forget.names import Names
from beam_jobs.images.image_names import download_name
from beam_jobs.rejections import DEAD_LETTERS, count_images


def forget_downloads(folder: str, names: Names) -> int:
    """Removes images, dead letters and lines of the log; returns the images.

    Started again after any stop it ends as if it had not been stopped.

    Raises:
        InputError: a download is at work in the folder.
    """
    with lock_folder(folder, secrets.token_hex(8)):
        removed = 0
        for url in sorted(names.urls):
            path = os.path.join(folder, log.IMAGES, download_name(url))
            removed += os.path.exists(path)
            storage.remove(path)
        for path in letters_in(os.path.join(folder, DEAD_LETTERS)):
            forget_lines(path, path, names, is_value_of(names, "item"))
        for path in log.log_files(folder):
            if path.endswith(".jsonl"):
                forget_lines(path, path, names, is_value_of(names, "url"))
        _count_again(folder)
    return removed


def _count_again(folder: str) -> None:
    """Brings the summary in line with what lies in the folder now."""
    path = os.path.join(folder, SUMMARY)
    if not os.path.exists(path):
        return
    images = storage.list_files(
        os.path.join(storage.escape(folder), log.IMAGES, "*", "*")
    )
    reasons = {
        os.path.splitext(os.path.basename(letters))[0]: len(
            storage.read_text(letters).splitlines()
        )
        for letters in letters_in(os.path.join(folder, DEAD_LETTERS))
    }
    rejected = count_images(reasons)
    counted = {
        "urls": len(images) + rejected,
        "out": len(images),
        "rejected": rejected,
        "reasons": reasons,
        "bytes": sum(size for _, size in images),
    }
    summary = json.loads(storage.read_text(path)) | counted
    storage.write_text(path, json.dumps(summary, indent=2) + "\n")
