"""What to run the pipeline on, checked before TFX is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.dataset_job.options import DatasetOptions, SplitOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.option_fields import (
    Option,
    Options,
    Without,
)
from beam_jobs.sources.find_sources import SourcePaths
from model.evaluation.gate_options import ModelGateOptions
from serving.api import contract
from serving.api.serve_check_options import ServeCheckOptions
from tfx_pipeline import names
from tfx_pipeline.resources import Resources, parse_resources

if TYPE_CHECKING:
    pass

# Without a part of its own nothing is calibrated.
_SPLITS = {"train": 0.8, "validation": 0.1, "calibration": 0.1}
_PANEL = "How it runs"
_OF_RUNS = ("local_workers", "max_restarts", "from_component", "to_component")
LOCAL, KUBEFLOW = RUNNERS = ("local", "kubeflow")


@dataclass(frozen=True)
class RunOptions(Options):
    """What to run.

    A blessed model is pushed to `<serving_dir>/tagforest/<version>`.
    """

    root: Annotated[
        str, Option("Folder of artifacts and metadata.", path=True)
    ] = "pipeline_output"
    dataset: Annotated[DatasetOptions, Without("overwrite", out="")] = (
        DatasetOptions(
            out="", sources=SourcePaths(), splits=SplitOptions(_SPLITS)
        )
    )
    existing: Annotated[
        str | None,
        Option(
            "A data set that there is already, instead of sources.",
            flag="--dataset",
            path=True,
        ),
    ] = None
    config: Annotated[str, Option("Training config: a name or a file.")] = (
        "demo"
    )
    overrides: Annotated[
        Sequence[str],
        Option("FIELD=VALUE, on top of the config.", flag="--set"),
    ] = ()
    warm_start: Annotated[
        bool,
        Option(
            "Start from the last model blessed on other data.",
            flag="--warm-start",
        ),
    ] = False
    data_gate: DataGateOptions = DataGateOptions()
    accept_data: Annotated[
        bool,
        Option(
            "The data is as wanted, however it differs from the last.",
            flag="--accept-data",
            panel="Data gate",
        ),
    ] = False
    schema: Annotated[
        str | None,
        Option(
            "Schema of the records (schema.pbtxt) instead of the one kept "
            "with the pipeline.",
            path=True,
            panel="Data gate",
        ),
    ] = None
    model_gate: ModelGateOptions = ModelGateOptions()
    serve_check: ServeCheckOptions = ServeCheckOptions()
    serving_dir: Annotated[
        str | None,
        Option("Where models are pushed. Default: ROOT/serving.", path=True),
    ] = None
    keep_versions: Annotated[
        int, Option("Versions that stay there; 0 for all.", min=0)
    ] = 5
    tag_images: Annotated[
        Sequence[str],
        Option("Images to tag with what is pushed.", path=True),
    ] = ()
    runner: Annotated[
        str,
        Option(
            "`local` runs it here; `kubeflow` writes the specification that "
            "Kubeflow Pipelines and Vertex AI run.",
            choices=RUNNERS,
            panel=_PANEL,
        ),
    ] = LOCAL
    image: Annotated[
        str | None,
        Option("Container image of all components.", panel=_PANEL),
    ] = None
    spec: Annotated[
        str, Option("File of the specification.", path=True, panel=_PANEL)
    ] = "pipeline.json"
    resources: Annotated[
        tuple[Resources, ...],
        Option(
            "Of a component: COMPONENT=CPUS,GB[,COUNTxACCELERATOR].",
            typed=list[str],
            parse=parse_resources,
            panel=_PANEL,
        ),
    ] = ()
    local_workers: Annotated[
        int, Option("Processes of the training.", min=1, panel=_PANEL)
    ] = 1
    max_restarts: Annotated[
        int,
        Option("Times a lost worker is replaced.", min=0, panel=_PANEL),
    ] = 0
    beam_args: Annotated[
        Sequence[str],
        Option(
            "An option of Beam for the data set job, as "
            "--beam-arg=--runner=DataflowRunner.",
            flag="--beam-arg",
            panel=_PANEL,
        ),
    ] = ()
    from_component: Annotated[
        str | None,
        Option(
            "First component to run; those before are as the last whole run "
            "left them.",
            choices=names.COMPONENTS,
            panel=_PANEL,
        ),
    ] = None
    to_component: Annotated[
        str | None,
        Option(
            "Last component to run, as DataGate.",
            choices=names.COMPONENTS,
            panel=_PANEL,
        ),
    ] = None
    enable_cache: Annotated[
        bool,
        Option(
            "Reuse steps whose inputs are unchanged.", flag="--cache/--no-cache"
        ),
    ] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runner == KUBEFLOW:
            self._check_kubeflow()
            return
        self._check_part()
        for name in ("root", "serving_dir"):
            _check_local(name, getattr(self, name))
        for name in ("image", "resources"):
            if getattr(self, name):
                self.refuse(name, "left out without --runner kubeflow")

    def _check_kubeflow(self) -> None:
        if not self.image:
            self.refuse("image", "given: the image that holds this project")
        # They are of one run on this machine, or of a root's state.
        usual = type(self).__dataclass_fields__
        for name in ("warm_start", "accept_data", *_OF_RUNS):
            if getattr(self, name) != usual[name].default:
                self.refuse(name, "left out with --runner kubeflow")
        for name in ("root", "serving_dir"):
            path = getattr(self, name)
            if path and not storage.is_remote(path) and path.count(":/"):
                self.refuse(name, "an address as gs://bucket/folder")

    def _check_part(self) -> None:
        order = names.COMPONENTS.index
        first, last = self.from_component, self.to_component
        if first and last and order(first) > order(last):
            self.refuse("to_component", f"{first} or one after it")

    @property
    def is_partial(self) -> bool:
        """Whether only some of the components are run."""
        return bool(self.from_component or self.to_component)

    @property
    def folder(self) -> str:
        """The root, absolute."""
        return absolute(self.root)

    @property
    def model_dir(self) -> str:
        """The folder that the model server watches."""
        base = self.serving_dir or storage.join(self.root, names.SERVING)
        return storage.join(absolute(base), contract.MODEL_NAME)


def _check_local(name: str, path: str | None) -> None:
    # `gs:/bucket` is what pathlib makes of an address, and no folder.
    if path and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path):
        flag = "--" + name.replace("_", "-")
        raise InputError(
            f"{flag} is a folder of this machine: its lock, its metadata and "
            "the training's checkpoints need a local disk (object stores are "
            "for sources and for `--runner kubeflow`); received: " + path
        )


def absolute(path: str) -> str:
    """Makes a path independent of the working folder."""
    return path if "://" in path else os.path.abspath(path)
