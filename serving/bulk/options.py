"""What a bulk job is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from serving.api import contract
from serving.api.tag_options import TAGS, TagOptions
from serving.sidecars.options import SidecarOptions

PARQUET, JSONL = "parquet", "jsonl"
FORMATS = (PARQUET, JSONL)


@dataclass(frozen=True)
class BulkOptions(Options):
    """What to tag, with what, and where the answers go.

    Attributes:
        model: a version's folder, or the base folder: its highest version.
        select: which classes are tags; None for the best ones, marked
            whether they reach their thresholds.
        batch_size: images a call of the model, one of
            `contract.BATCH_SIZES`. Scores may differ in the last bit between
            batch sizes.
        images_per_file: of one shard; a TFRecord file is always one.
        share_model: one copy of the model for all processes of a machine:
            for GPUs, and for models of which two do not fit into memory.

    Raises:
        InputError: a value that is not allowed.
    """

    model: Annotated[
        str,
        Option("What `tagforest export` wrote, local or gs://.", argument=True),
    ]
    sources: Annotated[
        Sequence[str],
        Option(
            "Folders, patterns, image files, tars, TFRecords, data sets.",
            argument=True,
        ),
    ]
    out: Annotated[str, Option("Folder of the answers, local or gs://...")]
    format: Annotated[str, Option("parquet or jsonl.", choices=FORMATS)] = (
        PARQUET
    )
    top: Annotated[
        int | None,
        Option("Tags an image; default: all exported.", min=1, panel=TAGS),
    ] = None
    select: TagOptions | None = None
    batch_size: Annotated[int, Option("Images a call.")] = contract.BATCH_SIZES[
        -1
    ]
    images_per_file: Annotated[
        int, Option("Rows of a file, the work of one worker.", min=1)
    ] = 1024
    share_model: Annotated[
        bool,
        Option("One copy for all processes: for GPUs.", flag="--share-model"),
    ] = False
    sidecars: SidecarOptions = SidecarOptions()
    overwrite: Annotated[
        bool, Option("Replace other answers.", flag="--overwrite")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sources:
            raise InputError("nothing to tag: name a folder of images")
        if self.batch_size not in contract.BATCH_SIZES:
            allowed = ", ".join(map(str, contract.BATCH_SIZES))
            raise InputError(
                f"--batch-size takes one of {allowed}: these sizes are warmed "
                f"up and checked by the export; received: {self.batch_size}"
            )

    def described(self) -> dict[str, Any]:
        """Returns what the answers depend on, for the manifest."""
        # Without them a job is the one that it was before there were any.
        beside = {"sidecars": self.sidecars.names} if self.sidecars.xmp else {}
        return {
            **beside,
            "sources": list(self.sources),
            "format": self.format,
            "top": self.top,
            "select": asdict(self.select) if self.select else None,
            "batch_size": self.batch_size,
            "images_per_file": self.images_per_file,
        }
