"""Runs the pipeline in this process, with LocalDagRunner and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import RunOptions as PartOfRun

from beam_jobs.files.folder_lock import lock_folder
from tfx_pipeline import executions, names, report, state
from tfx_pipeline.find_inputs import Inputs, find_inputs, listing_digest
from tfx_pipeline.outcomes import ModelRefusedError
from tfx_pipeline.pipeline import PipelineOptions, create_pipeline
from tfx_pipeline.progress import told
from tfx_pipeline.run_options import LOCAL, RunOptions


def run(
    options: RunOptions, tell: Callable[[str], None] = print
) -> report.Result | None:
    """Runs the pipeline once; one run at a time in a root.

    Args:
        tell: gets one line for each component, as it finishes.

    Returns:
        What was measured, blessed and pushed; None for a run that was to end
        before.

    Raises:
        InputError: wrong options or sources, before any component runs; or
            another run is at work in the root.
        DataRefusedError: by the data gate.
        ModelRefusedError: by a gate that the run was to end with.
        ComponentFailedError: any other error of a component; the reason is
            in the metadata, too.
    """
    root = options.folder
    Path(root).mkdir(parents=True, exist_ok=True)
    with lock_folder(root, "pipeline"):
        inputs = find_inputs(options)
        executions.settle(root)
        _write_settings(options, inputs)
        pipeline = create_pipeline(pipeline_options(options, inputs))
        with told(Path(root), tell) as at_work, executions.noted(root, at_work):
            LocalDagRunner().run(pipeline, run_options=_part(options))
        if options.to_component not in _WITH_RESULT:
            _check_last_gate(options)
            return None
        result = report.read_result(root)
        # Of a part, what was before it may be of other inputs.
        if not options.is_partial:
            run_id = report.pipeline_runs(report.open_store(root))[-1].name
            last = {"key": inputs.key, "run_id": run_id, **asdict(result)}
            state.write_json(root, last, state.LAST_RUN)
    return result


_WITH_RESULT = (None, names.PUSHER, names.TAGGING)
_GATES = (names.MODEL_GATE, names.SERVE_CHECK)


def _check_last_gate(options: RunOptions) -> None:
    if (last := options.to_component) in _GATES:
        gates = _GATES[: _GATES.index(last) + 1]
        store = report.open_store(options.folder)
        if reasons := report.reasons_against(store, gates):
            raise ModelRefusedError(f"the model is refused: {reasons[0]}")


def _part(options: RunOptions) -> PartOfRun | None:
    if not options.is_partial:
        return None
    first, last = options.from_component, options.to_component
    return PartOfRun(
        from_nodes=[first] if first else None,
        to_nodes=[last] if last else None,
        # Without it TFX takes the previous run, a part of one though it be.
        base_pipeline_run_id=state.last_whole_run(options.folder),
    )


def pipeline_options(options: RunOptions, inputs: Inputs) -> PipelineOptions:
    """Returns what the pipeline is made of."""
    is_local = options.runner == LOCAL
    return PipelineOptions(
        root=options.folder,
        model_dir=options.model_dir,
        dataset=inputs.dataset,
        existing=inputs.existing,
        sources=inputs.sources,
        # Here the run's settings say them.
        beam_args=() if is_local else tuple(options.beam_args),
        config=inputs.config,
        data_gate=options.data_gate,
        model_gate=options.model_gate,
        serve_check=options.serve_check,
        schema=options.schema or "",
        keep_versions=options.keep_versions,
        push_again=state.push_again(options.folder) if is_local else "",
        tag_images=tuple(options.tag_images),
        images=listing_digest(options.tag_images),
        enable_cache=options.enable_cache,
    )


def _write_settings(options: RunOptions, inputs: Inputs) -> None:
    # What no result depends on; in TFX's parameters it would run all anew.
    settings = {
        "config": inputs.config.to_json(),
        "accept_data": options.accept_data,
        "local_workers": options.local_workers,
        "max_restarts": options.max_restarts,
        "beam_args": list(options.beam_args),
    }
    state.write_json(options.folder, settings, state.SETTINGS)
