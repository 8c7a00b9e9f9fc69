"""Runs the pipeline in this process, with LocalDagRunner and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from tfx_pipeline import report
from tfx_pipeline.pipeline import create_pipeline
from tfx_pipeline.progress import told
from tfx_pipeline.run_options import RunOptions, find_inputs


def run(
    options: RunOptions, tell: Callable[[str], None] = print
) -> report.Result:
    """Runs the pipeline once.

    Args:
        tell: gets one line for each component, as it finishes.

    Returns:
        What was measured, blessed and pushed.

    Raises:
        InputError: wrong options or sources, before any component runs; or
            sources that leave a split without records.
    """
    pipeline = local_pipeline(options)
    root = Path(options.root).absolute()
    root.mkdir(parents=True, exist_ok=True)
    with told(root, tell):
        LocalDagRunner().run(pipeline)
    return report.read_result(root)


def local_pipeline(options: RunOptions) -> Pipeline:
    """Returns the pipeline of the options.

    Raises:
        InputError: wrong options or sources.
    """
    inputs = find_inputs(options)
    return create_pipeline(
        root=Path(options.root).absolute(),
        serving_dir=options.model_dir,
        dataset=inputs.dataset,
        sources=inputs.sources,
        config=inputs.config,
        min_f1=options.min_f1,
        tolerance=options.tolerance,
        enable_cache=options.enable_cache,
    )
