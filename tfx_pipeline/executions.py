"""What became of executions: the reason of a failure, and of a kill."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_metadata import proto as mlmd
from ml_metadata.metadata_store import MetadataStore

from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.files import storage
from tfx_pipeline import names, state
from tfx_pipeline.outcomes import ComponentFailedError
from tfx_pipeline.report import open_store

REASON = "reason"
_TRACEBACK = "failure.txt"
_KILLED = "the process ended while it ran"


def settle(root: str) -> list[int]:
    """Marks what a dead process left running, and removes its folders.

    Nothing else may run in the root: hold its lock.

    Returns:
        The executions.
    """
    if not Path(root, names.METADATA).exists():
        return []
    store = open_store(root)
    left = [
        e
        for e in store.get_executions()
        if e.last_known_state == mlmd.Execution.RUNNING
    ]
    for execution in left:
        _end(store, execution, mlmd.Execution.CANCELED, _KILLED)
        _remove_outputs(root, execution.id)
    return [execution.id for execution in left]


@contextlib.contextmanager
def noted(root: str, at_work: Callable[[], str]) -> Iterator[None]:
    """Writes why a component failed into the metadata, and says it in a line.

    Args:
        at_work: returns the component that runs.

    Raises:
        ComponentFailedError: an error that is none of ours; its traceback is
            in `reports/failure.txt`.
    """
    try:
        yield
    except (InputError, JobFailedError) as error:
        _note(root, str(error))
        raise
    # A training that was asked to stop has saved, and ends with its status.
    except SystemExit:
        _note(root, "it was asked to stop")
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        _note(root, reason)
        path = storage.join(root, names.REPORTS, _TRACEBACK)
        storage.write_text(path, traceback.format_exc())
        raise ComponentFailedError(
            f"{at_work()} failed: {reason}; all of it is in {path}; a rerun "
            "goes on from there"
        ) from error


def _note(root: str, reason: str) -> None:
    store = open_store(root)
    found = store.get_executions()
    ended = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
    last = max(found, key=lambda e: e.id, default=None)
    if last is not None and last.last_known_state not in ended:
        _end(store, last, mlmd.Execution.FAILED, reason)
        state.write_json(
            root, {"reason": reason}, state.FAILURES, f"{last.id}.json"
        )


def _end(
    store: MetadataStore, execution: mlmd.Execution, how: int, reason: str
) -> None:
    execution.last_known_state = how
    execution.custom_properties[REASON].string_value = reason
    store.put_executions([execution])


def _remove_outputs(root: str, execution: int) -> None:
    # The metadata learns of outputs when an execution ends; until then their
    # folders have its number.
    below = Path(root, names.ARTIFACTS)
    for folder in below.glob(f"*/*/{execution}"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in below.glob(f"*/.system/*/{execution}"):
        shutil.rmtree(folder, ignore_errors=True)
