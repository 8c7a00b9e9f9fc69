"""What a label pointed at before: JSON lines beside a `models.config`.

    {"time": "2026-01-31T12:00:00+00:00", "action": "promote",
     "model": "tagforest", "label": "stable", "before": 1, "after": 2}

`before` is null for a label that was new.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from beam_jobs.errors import InputError

PROMOTE, ROLLBACK = "promote", "rollback"


@dataclass(frozen=True)
class LabelChange:
    """One move of a label.

    Attributes:
        time: in UTC, ISO 8601.
        action: `promote` or `rollback`.
        model: name.
        label: that moved.
        before, after: versions.
    """

    time: str
    action: str
    model: str
    label: str
    before: int | None
    after: int


def history_path(config: Path) -> Path:
    """Returns where the history of a `models.config` is."""
    return config.with_name(f"{config.name}.history")


def read_history(config: Path) -> list[LabelChange]:
    """Returns the changes, oldest first; none without a history.

    Raises:
        InputError: a line that is none.
    """
    path = history_path(config)
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            found.append(LabelChange(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path}:{number}: no change of a label ({error}); mend or "
                "delete the line"
            ) from error
    return found


def append_change(config: Path, change: LabelChange) -> None:
    """Adds a change to the history."""
    with history_path(config).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(change)) + "\n")


def last_promotion(
    changes: Sequence[LabelChange], model: str, label: str, current: int
) -> LabelChange | None:
    """Returns the promotion that made a label what it is.

    Promotions that were rolled back do not count, nor do those before a
    change by hand. None if there is none.

    Args:
        changes: oldest first.
        current: version that the label names now.
    """
    standing: list[LabelChange] = []
    for change in changes:
        if (change.model, change.label) != (model, label):
            continue
        if change.action == PROMOTE:
            standing.append(change)
        # A rollback takes back the promotion before it; two take back two.
        elif standing:
            standing.pop()
    return standing[-1] if standing and standing[-1].after == current else None
