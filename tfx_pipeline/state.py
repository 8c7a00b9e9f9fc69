"""What a pipeline's root keeps beside the artifacts, whatever becomes of them.

state/settings.json        how to run, which no result depends on
state/accepted_data.json   the last data that the gate let through
state/classes/             its vocabulary and hierarchy
state/last_run.json        key and result of the last run that ended
state/push_again.json      says that a pushed version was found gone
state/blessed.jsonl        every blessing, a line each
state/failures/            why an execution failed, by its number
training/<key>/            working directories, which outlive a kill
reports/                   the pages of the gates
.lock                      held by the run at work
"""

from __future__ import annotations

import json
import os
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from tfx_pipeline import names

SETTINGS = "settings.json"
ACCEPTED = "accepted_data.json"
CLASSES = "classes"
LAST_RUN = "last_run.json"
PUSH_AGAIN = "push_again.json"
BLESSED = "blessed.jsonl"
FAILURES = "failures"


def check_root(root: str) -> None:
    """Checks that a pipeline has run there.

    Raises:
        InputError: none has.
    """
    if not os.path.isfile(os.path.join(root, names.METADATA)):
        raise InputError(f"{root} is no root of a pipeline: no metadata there")


def path_in(root: str, *parts: str) -> str:
    """Returns a path in the state's folder."""
    return storage.join(root, names.STATE, *parts)


def read_json(root: str, *parts: str) -> Any:
    """Returns a JSON file's value; None where there is none."""
    path = path_in(root, *parts)
    return json.loads(storage.read_text(path)) if storage.exists(path) else None


def write_json(root: str, value: Any, *parts: str) -> None:
    """Writes a JSON file; nobody sees half of it."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    storage.write_text(path_in(root, *parts), text)


def read_blessings(root: str) -> list[dict[str, Any]]:
    """Returns all blessings, oldest first."""
    path = path_in(root, BLESSED)
    if not storage.exists(path):
        return []
    return [json.loads(line) for line in storage.read_text(path).splitlines()]


def add_blessing(root: str, blessing: dict[str, Any]) -> None:
    """Adds a line; the same blessing twice is one."""
    there = read_blessings(root)
    if blessing not in there:
        lines = [json.dumps(b, sort_keys=True) for b in [*there, blessing]]
        storage.write_text(path_in(root, BLESSED), "\n".join(lines) + "\n")


def last_whole_run(root: str) -> str | None:
    """Returns the name of the last run of all components that ended."""
    return (read_json(root, LAST_RUN) or {}).get("run_id")


def push_again(root: str) -> str:
    """Returns what the Pusher's cache key holds besides its inputs.

    It changes, and then stays, where the version that the last run named is
    gone: taken from the cache, the push would be said and not done.
    """
    kept = read_json(root, PUSH_AGAIN) or ""
    last = read_json(root, LAST_RUN) or {}
    pushed = last.get("pushed_to")
    if pushed and not os.path.isdir(pushed):
        # Another one each time, though it be the same version.
        kept = f"{kept}{os.path.basename(pushed)} is gone\n"
        write_json(root, kept, PUSH_AGAIN)
    return kept
