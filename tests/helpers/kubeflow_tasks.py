"""Runs a compiled pipeline as Kubeflow does: a container's command a task.

Each task is a process of its own that knows nothing but its arguments. What
resolvers would find is answered by hand.
"""

from __future__ import annotations

import graphlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_tasks(
    job: Mapping[str, Any],
    folder: Path,
    parameters: Mapping[str, str],
    resolved: Mapping[str, Any],
    command: tuple[str, ...] = (),
) -> dict[str, dict[str, Any]]:
    """Runs all tasks in the order that they depend on each other.

    Args:
        job: what `compile_spec` returned.
        folder: gets the artifacts.
        parameters: of the run.
        resolved: by the resolver's task, the artifacts that it finds.
        command: in front of each command, as to run it in an image.

    Returns:
        By task, the artifacts that it put out.
    """
    spec = job["pipelineSpec"]
    tasks = spec["root"]["dag"]["tasks"]
    order = graphlib.TopologicalSorter(
        {name: _needs(task) for name, task in tasks.items()}
    )
    outputs: dict[str, dict[str, Any]] = {}
    for name in order.static_order():
        component = spec["components"][tasks[name]["componentRef"]["name"]]
        label = component["executorLabel"]
        executor = spec["deploymentSpec"]["executors"][label]
        if "resolver" in executor:
            outputs[name] = dict(resolved.get(name, {}))
            continue
        given = _executor_input(
            name, tasks[name], component, outputs, parameters, folder
        )
        outputs[name] = _run(name, executor["container"], given, command)
    return outputs


def _needs(task: Mapping[str, Any]) -> set[str]:
    artifacts = task.get("inputs", {}).get("artifacts", {}).values()
    producers = {a["taskOutputArtifact"]["producerTask"] for a in artifacts}
    return producers | set(task.get("dependentTasks", ()))


def _executor_input(
    name: str,
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    outputs: Mapping[str, dict[str, Any]],
    parameters: Mapping[str, str],
    folder: Path,
) -> dict[str, Any]:
    inputs = task.get("inputs", {})
    artifacts = {}
    for key, source in inputs.get("artifacts", {}).items():
        of = source["taskOutputArtifact"]
        found = outputs[of["producerTask"]].get(of["outputArtifactKey"])
        if found:
            artifacts[key] = found
    values = {
        key: {"stringValue": parameters[value["componentInputParameter"]]}
        if "componentInputParameter" in value
        else value["runtimeValue"]["constantValue"]
        for key, value in inputs.get("parameters", {}).items()
    }
    wanted = component.get("outputDefinitions", {}).get("artifacts", {})
    made = {
        key: {
            "artifacts": [
                {
                    "name": f"{name}/{key}",
                    "type": definition["artifactType"],
                    "uri": str(folder / name / key),
                }
            ]
        }
        for key, definition in wanted.items()
    }
    return {
        "inputs": {"artifacts": artifacts, "parameters": values},
        "outputs": {
            "artifacts": made,
            "outputFile": str(folder / name / "executor_output.json"),
        },
    }


def _run(
    name: str,
    container: Mapping[str, Any],
    given: Mapping[str, Any],
    command: tuple[str, ...],
) -> dict[str, Any]:
    said = json.dumps(given)
    words = [*container["command"], *container["args"]]
    words = [said if word == "{{$}}" else word for word in words]
    if not command:
        words[0] = sys.executable
    done = subprocess.run(
        [*command, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=600,
    )
    assert done.returncode == 0, f"{name}:\n{done.stderr[-3000:]}"
    written = Path(given["outputs"]["outputFile"]).read_text(encoding="utf-8")
    found = json.loads(written)["artifacts"]
    # As the platform does: what the task says, on top of what it was given.
    return {
        key: {
            "artifacts": [
                given["outputs"]["artifacts"][key]["artifacts"][0] | artifact
                for artifact in value["artifacts"]
            ]
        }
        for key, value in found.items()
    }
