"""What one process of a training does: data, model, fit, files.

    python -m model.training.worker DATASET WORKDIR

runs one worker of a training whose config lies in WORKDIR, with TF_CONFIG
saying which. `tagforest train` is the way in for everyone else.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model import workdir as files
from model.config import Config
from model.full_disk import writing
from model.inputs import skipped_records
from model.training import local_workers, profiling
from model.training import run as run_
from model.training.plan import plan_of
from model.training.run import Run
from model.training.train_log import keeping_log
from model.training.train_result import TrainResult, write_result
from model.workers import cluster, rendezvous
from model.workers.endings import StoppedError, WorkerLostError


def train_worker(
    config: Config,
    dataset: str,
    workdir: Path,
    profile: tuple[int, int] | None = None,
    join_seconds: float = 600.0,
) -> TrainResult:
    """Trains in this process, from the last checkpoint or from scratch.

    Args:
        profile, join_seconds: see `TrainOptions`.

    Raises:
        InputError: fewer images than a batch, fewer steps than to profile,
            a broken record, the loss is NaN, or the workers do not see the
            same config and checkpoint.
        StoppedError: SIGTERM or Ctrl-C; all is saved.
        WorkerLostError: another worker ended, or did not come.
    """
    # Before TensorFlow is loaded: `seconds` tell how long one waits.
    start = time.monotonic()
    workers = cluster.workers_from_environment()
    plan = plan_of(config, dataset)
    with rendezvous.meeting(workers, plan, join_seconds, workdir):
        import keras

        from model.inputs.input_pipeline import as_input_errors
        from model.training import checkpoints
        from model.training import strategy as strategy_

        limit_threads(int(os.environ.get(local_workers.THREADS, 0)))
        # That of several workers must be the first to use TensorFlow.
        with strategy_.others_may_end(workers):
            strategy = strategy_.make_strategy(workers, join_seconds)
    # The same on all workers, whose fresh weights must be equal.
    keras.utils.set_random_seed(config.seed)
    strategy_.check(config, strategy)
    log = keeping_log(workdir) if workers.is_chief else contextlib.nullcontext()
    with (
        strategy_.others_may_end(workers),
        log,
        as_input_errors(dataset),
        writing(workdir, "a file"),
    ):
        checkpoint = checkpoints.agree(strategy, workers.is_chief, workdir)
        of = config, dataset, workdir, strategy, workers
        run = run_.make_run(*of, checkpoint)
        fit_start = time.monotonic()
        run_.fit(run, profile)
        return _finish(run, start, time.monotonic() - fit_start)


def _rate(run: Run, seconds: float) -> float:
    """Returns the images per second since the checkpoint; 0 for no step."""
    from model.monitoring.step_logs import step_of

    steps = step_of(run.tagger) - run.position.step
    return steps * run.config.schedule.batch_size / seconds if steps else 0.0


def limit_threads(threads: int | None) -> None:
    """Gives each local worker its share of the cores, if it is to have one."""
    import tensorflow as tf

    if threads:
        # A caller that has used TensorFlow already knows better.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)


def _finish(run: Run, start: float, fit_seconds: float) -> TrainResult:
    """Writes the final weights and the result; a worker only its report."""
    from model.monitoring.step_logs import step_of
    from model.network.load_tagger import weights_sha256
    from model.training import checkpoints
    from model.training import strategy as strategy_

    tagger, workdir, workers = run.tagger, run.workdir, run.workers
    best, steps = run.judge.best, step_of(tagger)
    digest = weights_sha256(tagger.weights)
    checkpoints.check_same_weights(run.strategy, digest)
    if best is not None and best.step != steps:
        checkpoints.load_best(tagger, workdir, best)
        digest = weights_sha256(tagger.weights)
    epochs = steps // run.steps
    rows = files.read_json(workdir / files.HISTORY, [])
    losses = [row["loss"] for row in rows if row["epoch"] <= epochs]
    result = TrainResult(
        workdir=os.fspath(workdir),
        epochs=epochs,
        steps=steps,
        loss=losses[-1] if losses else math.nan,
        images_per_second=_rate(run, fit_seconds),
        seconds=time.monotonic() - start,
        weights_sha256=digest,
        best=best,
    )
    if workers.is_chief:
        # All are through: each has written what it passed over.
        result = replace(result, damaged=skipped_records.gather(workdir))
        _print_end(run, result)
        write_result(workdir, tagger, result)
    if workers.count > 1:
        report = {"weights_sha256": result.weights_sha256}
        name = f"worker-{workers.index}.json"
        files.write_json(workdir / files.WORKERS / name, report)
        # Who ends well is not started again: not before the chief has written
        # what one that is started again goes by.
        strategy_.any_worker(run.strategy, False)
    return result


def _print_end(run: Run, result: TrainResult) -> None:
    schedule = run.config.schedule
    if result.epochs < schedule.epochs:
        print(
            f"ended after epoch {result.epochs} of {schedule.epochs}: for "
            f"{schedule.stop_after} looks no {schedule.best} on validation was "
            f"better than that of {result.best}"
        )
    if schedule.best and result.best is None:
        print("there was no look at validation: the final weights are the last")


def _main(arguments: list[str]) -> int:
    """Runs one worker: DATASET WORKDIR, and the steps to profile."""
    dataset, workdir = arguments[0], Path(arguments[1])
    text = (workdir / files.CONFIG).read_text(encoding="utf-8")
    # First: the launcher may go while TensorFlow loads, which takes seconds.
    local_workers.end_with_parent()
    try:
        steps = arguments[2:]
        profile = profiling.parse_profile(steps[0]) if steps else None
        train_worker(Config.from_json(text), dataset, workdir, profile)
    except (StoppedError, WorkerLostError) as ending:
        return int(ending.code or 0)
    except InputError as error:
        # The disk may be full that both would go to.
        with contextlib.suppress(OSError):
            local_workers.report_error(workdir, str(error))
            print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except Exception:
        # Here and not by the interpreter, which then waits for all threads.
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    tensorflow_files.end_process(_main(sys.argv[1:]))
