"""Options that several commands share."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from serving.api.tag_options import TAGS, TagOptions


def in_panel(panel: str, text: str, *names: str, **limits: Any) -> Any:
    """Returns an option that --help shows in a group of its own."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **limits)


Sure = Annotated[
    bool, in_panel(TAGS, "Only what reaches its threshold.", "--sure")
]

# More than any export answers.
_MOST_LABELS = 1_000_000


def chosen_tags(
    select: TagOptions, sure: bool, most: int | None
) -> TagOptions | None:
    """Returns which classes are tags; None for the best, whatever they score.

    Args:
        select: what was said but for `max_labels`.
        sure: thresholds count, even if nothing else was said.
        most: tags an image; None for all.
    """
    if not sure and select == TagOptions():
        return None
    return replace(select, max_labels=_MOST_LABELS if most is None else most)
