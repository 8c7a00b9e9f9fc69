"""What one process of a training does: data, model, fit, files.

    python -m model.training.worker DATASET WORKDIR

runs one worker of a training whose config lies in WORKDIR, with TF_CONFIG
saying which. `tagforest train` is the way in for everyone else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import sys
import time
import traceback
from pathlib import Path

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tensorflow_files
from model import workdir as files
from model.config import Config
from model.full_disk import writing
from model.inputs import train_counts
from model.training import cluster, local_workers, profiling, rendezvous
from model.training import run as run_
from model.training.endings import StoppedError, WorkerLostError
from model.training.run import Run
from model.training.train_log import keeping_log
from model.training.train_result import TrainResult, write_result


def train_worker(
    config: Config,
    dataset: str,
    workdir: Path,
    profile: tuple[int, int] | None = None,
    join_seconds: float = 600.0,
) -> TrainResult:
    """Trains in this process, from the last checkpoint or from scratch.

    Args:
        profile: first and last step of this run to profile.
        join_seconds: longest wait for other workers.

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
    rendezvous.meet(workers, _plan(config, dataset), join_seconds)
    import keras
    import tensorflow as tf

    from model.inputs.input_pipeline import as_input_errors
    from model.training import checkpoints
    from model.training import strategy as strategy_

    _limit_threads(tf)
    # The strategy of several workers must be the first to use TensorFlow.
    strategy = strategy_.make_strategy(workers)
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
        run = run_.make_run(
            config, dataset, workdir, strategy, workers, checkpoint
        )
        fit_start = time.monotonic()
        _fit(run, profile)
        rate = _rate(run, time.monotonic() - fit_start)
        return _finish(run, rate=rate, start=start)


def _rate(run: Run, seconds: float) -> float:
    """Returns the images per second since the checkpoint; 0 for no step."""
    schedule = run.config.schedule
    steps = schedule.epochs * run.steps - run.position.step
    return steps * schedule.batch_size / seconds if steps else 0.0


def _plan(config: Config, dataset: str) -> dict[str, str]:
    """Returns digests of what all workers must have alike."""
    shards = dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    # Sizes besides, for data sets without a fingerprint.
    sizes = [(os.path.basename(s), storage.size(s)) for s in shards]
    data = f"{train_counts.fingerprint(dataset)}{sizes}"
    return {
        "config": hashlib.sha256(config.to_result_json().encode()).hexdigest(),
        "data set": hashlib.sha256(data.encode()).hexdigest(),
    }


def _fit(run: Run, profile: tuple[int, int] | None) -> None:
    from model.inputs.input_clock import InputClock
    from model.training import validation

    epochs = run.config.schedule.epochs
    if profile:
        left = epochs * run.steps - run.position.step
        profiling.check_profile(profile, left)
    clock = None
    if run.workers.is_chief and run.config.logging.input_wait:
        clock = InputClock()
    callbacks, stop = run_.callbacks(run, clock, profile)
    validate = validation.arguments(
        run.config, run.dataset, run.strategy, run.tagger.classes
    )
    # What is not said more closely where it is written.
    with stop.listening(), writing(run.workdir, f"a file in {files.LOGS}"):
        run.tagger.fit(
            functools.partial(run_.distributed, run, clock),
            epochs=epochs,
            initial_epoch=run.position.epoch,
            initial_step=run.position.batch,
            steps_per_epoch=run.steps,
            verbose=0,
            callbacks=callbacks,
            **validate,
        )


def _limit_threads(tf) -> None:
    """Gives each local worker its share of the cores."""
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(int(threads))
        except RuntimeError:
            return  # The caller has used TensorFlow already, and knows better.


def _finish(run: Run, *, rate, start) -> TrainResult:
    """Writes the final weights and the result; a worker only its report."""
    from model.network.load_tagger import weights_sha256
    from model.training import checkpoints
    from model.training import strategy as strategy_

    tagger, workdir, workers = run.tagger, run.workdir, run.workers
    epochs = run.config.schedule.epochs
    rows = files.read_json(workdir / files.HISTORY, [])
    result = TrainResult(
        workdir=os.fspath(workdir),
        epochs=epochs,
        steps=epochs * run.steps,
        loss=rows[-1]["loss"] if rows else math.nan,
        images_per_second=rate,
        seconds=time.monotonic() - start,
        weights_sha256=weights_sha256(tagger.weights),
    )
    checkpoints.check_same_weights(run.strategy, result.weights_sha256)
    if workers.is_chief:
        write_result(workdir, tagger, result)
    if workers.count > 1:
        report = {"weights_sha256": result.weights_sha256}
        name = f"worker-{workers.index}.json"
        files.write_json(workdir / files.WORKERS / name, report)
        # Who ends well is not started again: not before the chief has written
        # what one that is started again goes by.
        strategy_.any_worker(run.strategy, False)
    return result


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
