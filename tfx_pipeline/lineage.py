"""Where a model came from, and which models saw a data set."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_metadata import proto as mlmd
from ml_metadata.metadata_store import MetadataStore

from beam_jobs.errors import InputError
from tfx_pipeline import state
from tfx_pipeline.report import open_store

_OUT = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)
_IN = (mlmd.Event.INPUT, mlmd.Event.INTERNAL_INPUT)
# What has a result; a failed one has no output that counts.
_DONE = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)


# Bent: in a row, what is further behind would hide behind what is nearer.
_ARROW = {
    "arrowstyle": "-|>",
    "color": "#5c6670",
    "connectionstyle": "arc3,rad=-0.25",
    "shrinkA": 24,
    "shrinkB": 24,
}


@dataclass(frozen=True)
class Node:
    """An artifact, and what it was made of.

    Attributes:
        kind: type of the artifact.
        id: number in the metadata.
        uri: where it lies, or lay.
        made_by: component, empty where that is not known.
        facts: its properties.
        parents: artifacts that went into it.
    """

    kind: str
    id: int
    uri: str
    made_by: str
    facts: Mapping[str, Any]
    parents: tuple[int, ...] = field(default=())


def trace(root: str, what: str) -> list[Node]:
    """Returns an artifact and all that it came from, itself first.

    Args:
        root: of a pipeline.
        what: a pushed version (its number or folder), a model's folder, or
            the first digits of its weights' fingerprint, as answers say it.

    Raises:
        InputError: no pipeline there, or none such in it.
    """
    graph = _Graph(_store(root))
    start = graph.find(what)
    found: list[Node] = []
    waiting = [start]
    while waiting:
        node = graph.node(waiting.pop(0))
        if node.id not in {n.id for n in found}:
            found.append(node)
            waiting.extend(node.parents)
    return found


def models_of(root: str, fingerprint: str) -> list[Node]:
    """Returns all models that were trained on a data set, oldest first.

    Args:
        fingerprint: the first digits of the data set's.

    Raises:
        InputError: no pipeline there, or none such in it.
    """
    graph = _Graph(_store(root))
    models = [
        graph.node(a.id)
        for a in sorted(graph.artifacts.values(), key=lambda a: a.id)
        if a.type == "Model"
        and _text(a, "weights")
        and _text(a, "fingerprint").startswith(fingerprint)
    ]
    if not models:
        raise InputError(f"{root}: no model saw a data set {fingerprint}")
    return models


def to_json(nodes: list[Node]) -> str:
    """Returns the nodes as JSON."""
    return json.dumps([vars(node) for node in nodes], indent=1)


def describe(nodes: list[Node]) -> str:
    """Returns the nodes as text: each with its facts, origins below it."""
    lines = []
    for node in nodes:
        lines.append(f"{node.kind} {node.id} by {node.made_by or '?'}")
        lines.append(f"    {node.uri}")
        lines += [
            f"    {name}: {_short(value)}"
            for name, value in sorted(node.facts.items())
            if value != ""
        ]
        if node.parents:
            came = ", ".join(map(str, node.parents))
            lines.append(f"    from: {came}")
    return "\n".join(lines)


def draw(nodes: list[Node], path: str) -> None:
    """Draws the nodes as a picture, what came first at the left."""
    from matplotlib.figure import Figure

    depth = _depths(nodes)
    rows: dict[int, int] = {}
    place = {}
    for node in sorted(nodes, key=lambda n: n.id):
        column = depth[node.id]
        place[node.id] = (column, -rows.setdefault(column, 0))
        rows[column] += 1
    figure = Figure(
        figsize=(2.4 * (max(rows) + 1), 1.2 * max(rows.values()) + 1)
    )
    axes = figure.subplots()
    axes.axis("off")
    for node in nodes:
        for parent in node.parents:
            axes.annotate(
                "",
                xy=place[node.id],
                xytext=place[parent],
                arrowprops=_ARROW,
            )
        label = f"{node.kind} {node.id}\n{node.made_by}"
        axes.text(
            *place[node.id],
            label,
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round", "fc": "#eef4fa", "ec": "#1b6ca8"},
        )
    axes.set_xlim(-0.6, max(rows) + 0.6)
    axes.set_ylim(-max(rows.values()) + 0.4, 0.6)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def _depths(nodes: list[Node]) -> dict[int, int]:
    """Returns how many steps each is from what came first."""
    by_id = {node.id: node for node in nodes}
    depth: dict[int, int] = {}

    def of(number: int) -> int:
        if number not in depth:
            above = [of(p) + 1 for p in by_id[number].parents]
            depth[number] = max(above, default=0)
        return depth[number]

    for number in by_id:
        of(number)
    return depth


class _Graph:
    """The metadata of a root, read once."""

    def __init__(self, store: MetadataStore):
        self.artifacts = {a.id: a for a in store.get_artifacts()}
        self._executions = {e.id: e for e in store.get_executions()}
        ids = list(self._executions)
        events = store.get_events_by_execution_ids(ids) if ids else []
        self._inputs: dict[int, list[int]] = {}
        self._made_by: dict[int, int] = {}
        for event in sorted(events, key=lambda e: e.execution_id):
            execution = self._executions[event.execution_id]
            if event.type in _IN:
                self._inputs.setdefault(execution.id, []).append(
                    event.artifact_id
                )
            # The first that put it out made it: later ones took it as it was.
            elif event.type in _OUT and execution.last_known_state in _DONE:
                self._made_by.setdefault(event.artifact_id, execution.id)

    def node(self, number: int) -> Node:
        """Returns an artifact with its origins."""
        artifact = self.artifacts[number]
        maker = self._made_by.get(number)
        execution = self._executions.get(maker) if maker else None
        parents = self._inputs.get(maker, []) if maker else []
        return Node(
            artifact.type,
            number,
            artifact.uri,
            _component(execution),
            {name: _value(v) for name, v in artifact.custom_properties.items()},
            tuple(dict.fromkeys(parents)),
        )

    def find(self, what: str) -> int:
        """Returns the artifact that is meant, the first of several.

        Raises:
            InputError: there is none.
        """
        path = os.path.abspath(what)
        found = [
            a.id
            for a in self.artifacts.values()
            if (a.type == "Model" and _text(a, "weights").startswith(what))
            or (a.type == "Model" and path.startswith(a.uri))
            or _text(a, "pushed_version") == what
            or _text(a, "pushed_destination") == path
        ]
        if not found:
            raise InputError(
                f"no model {what}: a pushed version, its folder, or the first "
                "digits of its weights' fingerprint are known"
            )
        # A later run may have found the same version there already.
        return min(found)


def _store(root: str) -> MetadataStore:
    state.check_root(root)
    return open_store(root)


def _component(execution: mlmd.Execution | None) -> str:
    if execution is None:
        return ""
    # A function component's type is its dotted path.
    return execution.type.rsplit(".", 1)[-1]


def _text(artifact: mlmd.Artifact, name: str) -> str:
    return artifact.custom_properties[name].string_value


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:200]}..."
