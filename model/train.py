"""Trains a tagger: checks, data, model, fit, files.

    python -m model.train DATASET WORKDIR

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
from model import local_workers
from model import workdir as files
from model.config import Config

# Bytes a parameter in a checkpoint: weights and AdamW's two moments.
_BYTES_PER_PARAMETER = 12
# Checkpoints at once: two kept, one being written; and the final weights.
_COPIES = 4


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


def train(
    config: Config,
    dataset: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    *,
    local_workers: int = 1,
    restart: bool = False,
) -> TrainResult:
    """Trains from the last finished epoch of the workdir, or from scratch.

    Args:
        config: what to train.
        dataset: data set folder, as `tagforest dataset` writes it.
        workdir: for checkpoints, logs and the final weights.
        local_workers: processes on this machine, joined by
            MultiWorkerMirroredStrategy over loopback.
        restart: throws away an earlier training in the workdir.

    Raises:
        InputError: no data set, fewer images than a batch, too little disk,
            or a workdir that holds another training. All of it is checked
            before TensorFlow is loaded. Also: the loss is NaN, or a worker
            failed.
    """
    dataset, workdir = os.fspath(dataset), Path(workdir)
    if local_workers < 1:
        raise InputError(
            f"local workers must be 1 or more; received: {local_workers}"
        )
    _check(config, dataset, workdir)
    if os.environ.get("TF_CONFIG") and not _is_chief():
        return _train_worker(config, dataset, workdir)
    files.prepare(workdir, dataset, config, restart=restart)
    done = finished(workdir)
    if done is not None:
        print(f"{workdir} is trained already: {done.epochs} epochs")
        return done
    if local_workers == 1:
        return _train_worker(config, dataset, workdir)
    return _train_locally(dataset, workdir, local_workers)


def finished(workdir: Path) -> TrainResult | None:
    """Returns the result of a training that is over, else None."""
    values = files.read_json(workdir / files.RESULT, None)
    if values is None or not (workdir / files.WEIGHTS).is_file():
        return None
    return TrainResult(**{**values, "workdir": os.fspath(workdir)})


def weights_sha256(variables) -> str:
    """Returns the SHA-256 (hex) over the values of variables, in order."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def _check(config: Config, dataset: str, workdir: Path) -> None:
    layout.shard_paths(dataset, layout.TRAIN)
    path = storage.join(dataset, layout.VOCABULARY)
    classes = len(Vocabulary.load(path))
    hierarchy = storage.join(dataset, layout.HIERARCHY)
    if not storage.exists(hierarchy):
        raise InputError(f"no such file: {hierarchy}")
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir {workdir} is a file")
    parameters = _about_parameters(config, classes)
    files.check_disk(workdir, _COPIES * _BYTES_PER_PARAMETER * parameters)
    object_stores.register(dataset)


def _about_parameters(config: Config, classes: int) -> int:
    """Estimates the size of the network without building it."""
    network = config.network
    before = network.stem_filters
    total = 3 * before * network.stem_kernel**2
    for blocks, filters in zip(network.blocks, network.filters, strict=True):
        if network.block == "basic":
            first, other = 9 * before * filters, 18 * filters**2
        else:
            first, other = before * filters // 4, 17 * filters**2 // 16
        total += before * filters + first + other * blocks
        before = filters
    return total + classes * (before + 3)


def _is_chief() -> bool:
    from model.distribution import workers_from_environment

    return workers_from_environment().is_chief


def _train_locally(dataset: str, workdir: Path, count: int) -> TrainResult:
    start = time.monotonic()
    local_workers.launch(dataset, workdir, count)
    result = finished(workdir)
    if result is None:
        raise InputError(
            f"the workers left no result in {workdir}; see "
            f"{workdir / files.WORKERS}"
        )
    print(f"{count} workers, equal weights: {result.weights_sha256[:16]}...")
    values = {**asdict(result), "seconds": time.monotonic() - start}
    return TrainResult(**values)


def _train_worker(config: Config, dataset: str, workdir: Path) -> TrainResult:
    """Trains in this process: the steps, in order."""
    start = time.monotonic()
    import keras
    import tensorflow as tf

    from model import distribution, input_pipeline

    _limit_threads(tf)
    workers = distribution.workers_from_environment()
    # The strategy of several workers must be the first to use TensorFlow.
    strategy = distribution.make_strategy(workers)
    keras.utils.set_random_seed(config.seed)
    distribution.check_batch_size(config.schedule.batch_size, strategy)
    shards = layout.shard_paths(dataset, layout.TRAIN)
    images = input_pipeline.count_records(shards)
    steps = input_pipeline.steps_per_epoch(images, config.schedule.batch_size)
    tagger, first_epoch = _make_tagger(
        config, dataset, workdir, strategy, steps, images
    )
    if workers.is_chief:
        _print_start(config, tagger, images, strategy, first_epoch)
    fit_start = time.monotonic()
    tagger.fit(
        _distributed(config, dataset, strategy, tagger.classes, first_epoch),
        epochs=config.schedule.epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps,
        verbose=0,
        callbacks=_callbacks(config, workdir, steps, workers.is_chief),
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
        optimizer = schedules.make_optimizer(config.schedule, steps)
        optimizer.build(tagger.trainable_variables)
        tagger.compile(optimizer=optimizer, jit_compile=False)
        if latest is not None:
            tagger.load_weights(latest.path)
            return tagger, latest.epoch
        shards = layout.shard_paths(dataset, layout.TRAIN)
        counts = input_pipeline.label_counts(
            shards, classes, config.data.min_confidence
        )
        tagger.set_prior(counts, images)
    return tagger, 0


def _distributed(config, dataset, strategy, classes, first_epoch):
    """Returns the training data as the strategy deals it to its replicas."""
    from model import input_pipeline

    def make(context):
        return input_pipeline.make_train_dataset(
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

    return strategy.distribute_datasets_from_function(make)


def _callbacks(config, workdir, steps, is_chief):
    from model import callbacks

    stop = callbacks.StopOnNaN(workdir)
    if not is_chief:
        return [stop]
    batch_size = config.schedule.batch_size
    return [
        stop,
        callbacks.Progress(config.schedule.epochs, steps, batch_size),
        callbacks.HistoryFile(workdir / files.HISTORY, steps * batch_size),
        callbacks.EpochCheckpoint(workdir),
        callbacks.TensorBoardScalars(workdir / files.LOGS, batch_size),
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
    """Runs one worker: DATASET WORKDIR."""
    dataset, workdir = arguments[0], Path(arguments[1])
    text = (workdir / files.CONFIG).read_text(encoding="utf-8")
    try:
        _train_worker(Config.from_json(text), dataset, workdir)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    object_stores.end_process(_main(sys.argv[1:]))
