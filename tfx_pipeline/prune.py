"""Deletes what no kept run and no kept model needs any more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml_metadata import proto as mlmd
from ml_metadata.metadata_store import MetadataStore

from beam_jobs.files.folder_lock import lock_folder
from tfx_pipeline import executions, names, state
from tfx_pipeline.report import open_store, pipeline_runs


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be.

    Attributes:
        paths: folders and files, sorted.
        bytes: of all of them; what hard links share with kept ones too.
    """

    paths: tuple[str, ...]
    bytes: int


def prune(root: str, keep: int, *, dry_run: bool = False) -> Pruned:
    """Deletes artifacts and trainings; the metadata keeps what they were.

    What stays: all artifacts of the last runs, the last blessed models, and
    the working directories of the trainings that were last at work.

    Args:
        root: of a pipeline.
        keep: how many of each.
        dry_run: deletes nothing.

    Raises:
        InputError: no pipeline there, or a run is at work.
    """
    root = os.path.abspath(root)
    state.check_root(root)
    with lock_folder(root, "prune"):
        if not dry_run:
            executions.settle(root)
        store = open_store(root)
        kept = _artifacts_of(store, _kept_runs(store, root, keep))
        blessed = {b["model"] for b in state.read_blessings(root)[-keep:]}
        gone = [
            artifact
            for artifact in store.get_artifacts()
            if artifact.id not in kept
            and artifact.uri not in blessed
            and os.path.exists(artifact.uri)
            and _below(root, artifact.uri)
        ]
        trainings = _old_trainings(Path(root, names.TRAINING), keep)
        paths = sorted({*(a.uri for a in gone), *map(str, trainings)})
        size = sum(map(_size, paths))
        if not dry_run:
            _delete(store, gone, paths)
    return Pruned(tuple(paths), size)


def _kept_runs(
    store: MetadataStore, root: str, keep: int
) -> list[mlmd.Context]:
    runs = pipeline_runs(store)
    # A part of the pipeline can begin where this one left it.
    whole = state.last_whole_run(root)
    return [*(r for r in runs[:-keep] if r.name == whole), *runs[-keep:]]


def _artifacts_of(
    store: MetadataStore, runs: Iterable[mlmd.Context]
) -> set[int]:
    """Returns the artifacts that the runs put out, cached ones too."""
    ran = [
        e.id for run in runs for e in store.get_executions_by_context(run.id)
    ]
    if not ran:
        return set()
    # Inputs too: a resolver's model came from an earlier run.
    return {e.artifact_id for e in store.get_events_by_execution_ids(ran)}


def _old_trainings(folder: Path, keep: int) -> list[Path]:
    if not folder.is_dir():
        return []
    newest = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns)
    return newest[:-keep]


def _below(root: str, path: str) -> bool:
    return os.path.commonpath([root, os.path.abspath(path)]) == root


def _size(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(p.stat().st_size for p in Path(path).rglob("*") if p.is_file())


def _delete(
    store: MetadataStore, artifacts: list[mlmd.Artifact], paths: list[str]
) -> None:
    # First the mark: TFX must not reuse half of a folder.
    for artifact in artifacts:
        artifact.state = mlmd.Artifact.DELETED
    if artifacts:
        store.put_artifacts(artifacts)
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
