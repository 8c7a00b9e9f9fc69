"""What one process of a training does: data, model, fit, files.

    python -m model.train_worker DATASET WORKDIR [FIRST,LAST]

runs one worker of a training whose config lies in WORKDIR, with TF_CONFIG
saying which. `tagforest train` is the way in for everyone else.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from beam_jobs import layout, object_stores, storage
from beam_jobs.errors import InputError
from beam_jobs.vocabulary import Vocabulary
from model import profiling
from model import workdir as files
from model.config import Config


@dataclass(frozen=True)
class TrainResult:
    """What a training ended with.

    Attributes:
        workdir: where everything lies.
        epochs: finished, over all runs.
        steps: training steps in them.
        loss: mean over the last epoch.
        images_per_second: mean over this run's epochs; 0 if it had none.
        seconds: of this run, start-up included.
        weights_sha256: over all weights, in order.
    """

    workdir: str
    epochs: int
    steps: int
    loss: float
    images_per_second: float
    seconds: float
    weights_sha256: str


def train_worker(
    config: Config,
    dataset: str,
    workdir: Path,
    profile: tuple[int, int] | None = None,
) -> TrainResult:
    """Trains in this process, from the last checkpoint or from scratch.

    Args:
        config: what to train.
        dataset: data set folder.
        workdir: for all files.
        profile: first and last step of this run to profile.

    Raises:
        InputError: fewer images than a batch, fewer steps than to profile,
            or the loss is NaN.
    """
    start = time.monotonic()
    import keras
    import tensorflow as tf

    from model import distribution, input_pipeline, validation
    from model.input_clock import InputClock
    from model.step_logs import step_of

    _limit_threads(tf)
    workers = distribution.workers_from_environment()
    # The strategy of several workers must be the first to use TensorFlow.
    strategy = distribution.make_strategy(workers)
    keras.utils.set_random_seed(config.seed)
    distribution.check(config, strategy)
    shards = layout.shard_paths(dataset, layout.TRAIN)
    images = input_pipeline.count_records(shards)
    steps = input_pipeline.steps_per_epoch(images, config.schedule.batch_size)
    tagger, first_epoch = _make_tagger(
        config, dataset, workdir, strategy, steps, images
    )
    if workers.is_chief:
        _print_start(config, tagger, images, strategy, first_epoch)
    if profile:
        left = (config.schedule.epochs - first_epoch) * steps
        profiling.check_profile(profile, left)
    clock = None
    if workers.is_chief and config.logging.input_wait:
        clock = InputClock()
    fit_start = time.monotonic()
    tagger.fit(
        _distributed(
            config, dataset, strategy, tagger.classes, first_epoch, clock
        ),
        epochs=config.schedule.epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps,
        verbose=0,
        callbacks=_callbacks(
            config,
            workdir,
            steps,
            workers.is_chief,
            dataset=dataset,
            step=step_of(tagger),
            clock=clock,
            batches_a_step=strategy.num_replicas_in_sync // workers.count,
            profile=profile,
        ),
        **validation.arguments(config, dataset, strategy, tagger.classes),
    )
    seconds = time.monotonic() - fit_start
    trained = (config.schedule.epochs - first_epoch) * steps
    trained *= config.schedule.batch_size
    return _finish(
        tagger,
        workdir,
        workers,
        steps=config.schedule.epochs * steps,
        rate=trained / seconds if trained else 0.0,
        start=start,
    )


def weights_sha256(variables) -> str:
    """Returns the SHA-256 (hex) over the values of variables, in order."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def _limit_threads(tf) -> None:
    """Gives each local worker its share of the cores."""
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(int(threads))
        except RuntimeError:
            return  # The caller has used TensorFlow already, and knows better.


def _make_tagger(config, dataset, workdir, strategy, steps, images):
    """Returns the compiled tagger and the first epoch that it still needs."""
    from model import input_pipeline, schedules
    from model.tagger import Tagger

    path = storage.join(dataset, layout.VOCABULARY)
    classes = len(Vocabulary.load(path))
    latest = files.latest_checkpoint(workdir)
    with strategy.scope():
        tagger = Tagger(config, classes)
        optimizer = schedules.make_optimizer(
            config.schedule, steps, config.network.precision
        )
        optimizer.build(tagger.trainable_variables)
        tagger.compile(
            optimizer=optimizer,
            steps_per_execution=config.schedule.steps_per_execution,
            jit_compile=False,  # The tagger compiles the parts that gain.
        )
        if latest is not None:
            tagger.load_weights(latest.path)
            return tagger, latest.epoch
        shards = layout.shard_paths(dataset, layout.TRAIN)
        counts = input_pipeline.label_counts(
            shards, classes, config.data.min_confidence
        )
        tagger.set_prior(counts, images)
    return tagger, 0


def _distributed(config, dataset, strategy, classes, first_epoch, clock=None):
    """Returns the training data as the strategy deals it to its replicas."""
    from model import input_pipeline

    def make(context):
        batches = input_pipeline.make_train_dataset(
            dataset,
            config.data,
            classes=classes,
            batch_size=config.schedule.batch_size,
            epochs=config.schedule.epochs,
            first_epoch=first_epoch,
            seed=config.seed,
            replicas=context.num_replicas_in_sync,
            workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
        )
        return clock.watch(batches) if clock else batches

    return strategy.distribute_datasets_from_function(make)


def _callbacks(config, workdir, steps, is_chief, **board):
    from model import checkpoints, progress, tensorboard

    stop = checkpoints.StopOnNaN(workdir)
    if not is_chief:
        return [stop]
    batch_size = config.schedule.batch_size
    return [
        stop,
        progress.Progress(config.schedule.epochs, steps, batch_size),
        progress.HistoryFile(workdir / files.HISTORY, batch_size),
        # On disk before the checkpoint that a training goes on from.
        *tensorboard.make_callbacks(config, workdir=workdir, **board),
        checkpoints.EpochCheckpoint(workdir),
    ]


def _print_start(config, tagger, images, strategy, first_epoch) -> None:
    replicas = strategy.num_replicas_in_sync
    print(
        f"training {config.name}: {tagger.count_params() / 1e6:.2f} million "
        f"parameters, {tagger.classes} classes, {images} images, "
        f"batch {config.schedule.batch_size} on {replicas} replica(s)"
    )
    if first_epoch:
        print(f"continuing after epoch {first_epoch}")


def _finish(tagger, workdir, workers, *, steps, rate, start) -> TrainResult:
    """Writes the final weights and the result; a worker only its report."""
    rows = files.read_json(workdir / files.HISTORY, [])
    result = TrainResult(
        workdir=os.fspath(workdir),
        epochs=tagger.config.schedule.epochs,
        steps=steps,
        loss=rows[-1]["loss"] if rows else math.nan,
        images_per_second=rate,
        seconds=time.monotonic() - start,
        weights_sha256=weights_sha256(tagger.weights),
    )
    if workers.is_chief:
        # Keras would save its state too, twice the size of the weights.
        tagger.optimizer = None
        partial = workdir / f"partial-{files.WEIGHTS}"
        tagger.save_weights(partial, overwrite=True)
        partial.replace(workdir / files.WEIGHTS)
        values = {k: v for k, v in asdict(result).items() if k != "workdir"}
        files.write_json(workdir / files.RESULT, values)
    if workers.count > 1:
        report = {"weights_sha256": result.weights_sha256}
        name = f"worker-{workers.index}.json"
        files.write_json(workdir / files.WORKERS / name, report)
    return result


def _main(arguments: list[str]) -> int:
    """Runs one worker: DATASET WORKDIR, and the steps to profile."""
    dataset, workdir = arguments[0], Path(arguments[1])
    text = (workdir / files.CONFIG).read_text(encoding="utf-8")
    try:
        steps = arguments[2:]
        profile = profiling.parse_profile(steps[0]) if steps else None
        train_worker(Config.from_json(text), dataset, workdir, profile)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    object_stores.end_process(_main(sys.argv[1:]))
