"""Compiles the pipeline for Kubeflow Pipelines v2 and Vertex AI Pipelines.

A specification is a file; who submits it needs none of this. Only
`kfp-pipeline-spec` is used, not `kfp`, whose protobuf TFX does not take.
"""

from __future__ import annotations

# mypy sees no messages in TFX's protos:
# mypy: disable-error-code="attr-defined"
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline

from beam_jobs.errors import InputError
from tfx_pipeline.pipeline import PipelineOptions, create_pipeline
from tfx_pipeline.resources import Resources

# A schedule gives each run its own, as the time; else all is cached for ever.
RUN_DATA = "data"
# The image's entry point is the command line; tasks start their executors.
_COMMAND = [
    *("python", "-m"),
    "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor",
]


def compile_spec(
    options: PipelineOptions,
    image: str,
    spec: str,
    resources: tuple[Resources, ...] = (),
) -> dict[str, Any]:
    """Writes the specification of a pipeline; returns it.

    What lies in the sources is looked for when a task runs, and a run's
    parameter `data` says that it should be looked for again.

    Args:
        options: without a digest of sources.
        image: with this project in it, for all components.
        spec: JSON file to write.
        resources: of components.

    Raises:
        InputError: `kfp-pipeline-spec` is not installed, or resources for a
            component that there is none of.
    """
    try:
        from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
    except ImportError as error:
        raise InputError(
            "compiling for Kubeflow needs kfp-pipeline-spec: pip install "
            f"tagforest[kubeflow] ({error})"
        ) from error
    run_data = RuntimeParameter(name=RUN_DATA, ptype=str, default="first")
    pipeline = create_pipeline(replace(options, sources=run_data))
    _give(pipeline, resources)
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=_COMMAND
    )
    path = Path(spec)
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config)
    written = runner.run(pipeline, write_out=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return written


def _give(pipeline: Pipeline, resources: tuple[Resources, ...]) -> None:
    from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig

    container = PipelineDeploymentConfig.PipelineContainerSpec
    found = {
        c.id: c for c in pipeline.components if isinstance(c, BaseComponent)
    }
    for wanted in resources:
        if wanted.component not in found:
            raise InputError(
                f"--resources: one of {', '.join(found)}; received: "
                f"{wanted.component}"
            )
        spec = container.ResourceSpec(
            cpu_limit=wanted.cpus, memory_limit=wanted.memory_gb
        )
        if wanted.accelerators:
            spec.accelerator.count = wanted.accelerators
            spec.accelerator.type = wanted.accelerator
        found[wanted.component].with_platform_config(spec)
