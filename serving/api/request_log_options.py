"""What is noted of requests, and in which form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

_log = partial(Option, panel="Request log")
JSONL, TFRECORD = FORMATS = ("jsonl", "tfrecord")


@dataclass(frozen=True)
class RequestLogOptions(Options):
    """What is noted of requests; nothing where `file` is None.

    Attributes:
        format: `jsonl`, or `tfrecord` for TensorFlow Serving's PredictionLog.
        sample: the share of the requests, drawn at random.
        megabytes: of one file, in 10**6 bytes.
        files: with the one that is written to.
        images: the files of images are noted, too; of a `tfrecord` all inputs.
    """

    file: Annotated[
        Path | None, _log("Note requests there.", flag="--request-log")
    ] = None
    format: Annotated[
        str,
        _log(
            "jsonl, or tfrecord of PredictionLog.",
            choices=FORMATS,
            flag="--request-log-format",
        ),
    ] = JSONL
    sample: Annotated[
        float,
        _log(
            "Share of the requests.",
            over=0,
            max=1,
            flag="--request-log-sample",
        ),
    ] = 0.1
    megabytes: Annotated[
        int,
        _log(
            "A file of so many is rotated.", min=1, flag="--request-log-file-mb"
        ),
    ] = 100
    files: Annotated[
        int,
        _log(
            "Files that are kept, FILE and FILE.1 on.",
            min=1,
            max=1000,
            flag="--request-log-files",
        ),
    ] = 10
    images: Annotated[
        bool,
        _log(
            "Note the image files, too; as JSON each up to 1 MiB.",
            flag="--request-log-images",
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file is not None and not self.file.parent.is_dir():
            raise InputError(
                f"no such folder for the request log: {self.file.parent}"
            )
        if self.file is not None and self.file.is_dir():
            raise InputError(
                f"--request-log is a file; received a folder: {self.file}"
            )

    def require_file(self, of_models: bool = False) -> None:
        """Checks that there is a file if anything else is said.

        Args:
            of_models: models may have logs of their own, which are kept alike.

        Raises:
            InputError: there is none.
        """
        held = ("megabytes", "files", "images") if of_models else ()
        given = [
            f.name
            for f in fields(self)
            if getattr(self, f.name) != f.default and f.name not in held
        ]
        if self.file is None and given:
            raise InputError(
                "the other options of the request log need --request-log FILE"
            )
