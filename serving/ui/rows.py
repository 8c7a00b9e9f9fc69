"""The tree as Quasar's QTree takes it (https://quasar.dev): JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.ui.tag_tree import Node


def to_rows(
    nodes: Sequence[Node], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns the nodes with the texts and widths that their rows show.

    Args:
        nodes: the roots, or the children of one node.
        columns: names of the versions that are compared.
    """
    return [_row(node, columns) for node in nodes]


def _row(node: Node, columns: Sequence[str]) -> dict[str, Any]:
    name, _, rest = node.name.partition(",")
    return {
        "id": node.wnid,
        "label": name,
        "title": _title(node, rest.strip()),
        "leaf": node.leaf,
        "above": not node.is_tag,
        "cells": [
            _cell(score, is_tag, column)
            for score, is_tag, column in zip(
                node.scores, node.tags, columns, strict=True
            )
        ],
        "mark": _mark(node, columns),
        "children": to_rows(node.children, columns),
    }


def _cell(
    score: float | None, is_tag: bool | None, column: str
) -> dict[str, Any]:
    if score is None:
        return {"text": "–", "width": 0, "tag": False, "column": column}
    return {
        "text": f"{score:.2f}",
        "width": round(100 * score),
        "tag": bool(is_tag),
        "column": column,
    }


def _mark(node: Node, columns: Sequence[str]) -> str:
    if not node.differs:
        return ""
    there = [c for c, t in zip(columns, node.tags, strict=True) if t]
    if False in node.tags:
        return f"only {there[0]}"
    first, second = node.scores[0] or 0.0, node.scores[-1] or 0.0
    return f"{second - first:+.2f}".replace("-", "−")


def _title(node: Node, synonyms: str) -> str:
    parts = [f"also: {synonyms}"] if synonyms else []
    if node.also_under:
        parts.append(f"also below: {'; '.join(node.also_under)}")
    return "\n".join(parts)
