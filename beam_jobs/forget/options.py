"""What `tagforest forget` is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_folder
from beam_jobs.option_fields import Option, Options

FEATURE_FILES = (".npz", ".parquet")


@dataclass(frozen=True)
class ForgetOptions(Options):
    """Which images are forgotten, and where."""

    dataset: Annotated[str, Option("Folder of a data set.", argument=True)]
    images: Annotated[
        str,
        Option(
            "File of images to forget: an id (csv/a.jpg) or URL a line.",
            path=True,
        ),
    ]
    downloads: Annotated[
        tuple[str, ...],
        Option("Folder of `tagforest download`; repeatable.", path=True),
    ] = ()
    features: Annotated[
        tuple[str, ...],
        Option("File of `tagforest features`; repeatable.", path=True),
    ] = ()
    runs: Annotated[
        tuple[str, ...],
        Option(
            "Folder whose trainings and exports are looked at, and listed if "
            "they saw the images; repeatable.",
            path=True,
        ),
    ] = ()
    copies: Annotated[
        bool, Option("Forget other images of the same bytes too.")
    ] = False

    def check(self) -> None:
        """Checks that everything named is there.

        Raises:
            InputError: it is not, or is not on this machine.
        """
        for path in (self.dataset, *self.downloads, *self.features):
            if storage.is_remote(path):
                raise InputError(
                    f"{path}: images are forgotten on this machine's disks "
                    "alone; copy it here, or name a mounted folder"
                )
        check_folder(self.dataset, "data set")
        check_file(self.images, "--images")
        for folder in self.downloads:
            check_folder(folder, "--downloads")
        for path in self.features:
            check_file(path, "--features")
            if os.path.splitext(path)[1] not in FEATURE_FILES:
                raise InputError(
                    "--features: a file .npz or .parquet is needed; received: "
                    f"{path}"
                )
        for folder in self.runs:
            check_folder(folder, "--runs")
