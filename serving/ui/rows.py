"""A tree of tags as `tag_answer.js` shows it: JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from serving.api.prediction import Prediction
from serving.ui.tag_tree import Choice, Node, tag_tree, when_cut
from serving.ui.when import When


def to_answer(
    answers: Sequence[Prediction], columns: Sequence[str], choice: Choice
) -> dict[str, Any]:
    """Returns what is shown of the answers for one image.

    Args:
        answers: a valid one a column.
        columns: names of the versions that are compared.
        choice: see `tag_tree`.

    Returns:
        `rows` in the order shown, each with the number of its `parent`, or -1;
        `tags`, `best`, `limits`: texts, best first, and when they hold, see
        `When.as_row`; `left_out`: only when; `nothing`: said without a tag.
    """
    tree = tag_tree(answers, choice)
    limits = [
        (f"the model answers its best {len(answer.tags)} alone", when)
        for answer in answers
        if (when := when_cut(answer)).is_possible
    ]
    return {
        "columns": [*columns],
        "rows": _rows(tree.roots, columns),
        "tags": _texts((_first(name), when) for name, when in tree.tags),
        "best": _texts((_first(name), when) for name, when in tree.best),
        "limits": _texts(limits),
        "left_out": [when.as_row() for when in tree.left_out],
        "nothing": choice.nothing("tag", bool(tree.tags)),
    }


def _texts(pairs) -> list[list[Any]]:
    return [[text, when.as_row()] for text, when in pairs]


def _rows(roots: Sequence[Node], columns: Sequence[str]) -> list[dict]:
    rows: list[dict[str, Any]] = []

    def add(node: Node, depth: int, parent: int) -> None:
        number = len(rows)
        rows.append({**_row(node, columns), "depth": depth, "parent": parent})
        for child in node.children:
            add(child, depth + 1, number)

    for root in roots:
        add(root, 0, -1)
    return rows


def _row(node: Node, columns: Sequence[str]) -> dict[str, Any]:
    _, _, rest = node.name.partition(",")
    return {
        "id": node.wnid,
        "name": _first(node.name),
        "title": _title(node, rest.strip()),
        "leaf": node.leaf,
        "shown": node.shown.as_row(),
        "tag": node.is_tag.as_row(),
        "cells": [
            _cell(score, tag, column)
            for score, tag, column in zip(
                node.scores, node.tags, columns, strict=True
            )
        ],
        "marks": _texts(_marks(node, columns)),
    }


def _first(name: str) -> str:
    return name.partition(",")[0]


def _cell(score: float | None, tag: When, column: str) -> dict[str, Any]:
    if score is None:
        return {"text": "–", "width": 0, "tag": tag.as_row(), "column": column}
    return {
        "text": f"{score:.2f}",
        "width": round(100 * score),
        "tag": tag.as_row(),
        "column": column,
    }


def _marks(node: Node, columns: Sequence[str]) -> Iterator[tuple[str, When]]:
    """Yields how the columns disagree, what matters most first."""
    for column, when in zip(columns, node.only, strict=True):
        if when.is_possible:
            yield f"only {column}", when
    if node.apart is not None:
        yield f"{node.apart:+.2f}".replace("-", "−"), node.is_tag


def _title(node: Node, synonyms: str) -> str:
    parts = [f"also: {synonyms}"] if synonyms else []
    if node.also_under:
        parts.append(f"also below: {'; '.join(node.also_under)}")
    return "\n".join(parts)
