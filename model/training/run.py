"""What the phases of one process's training share, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model import workdir as files
from model.checkpoint_files import Position
from model.config import Config
from model.inputs import train_counts
from model.inputs.train_counts import TrainCounts


@dataclass(frozen=True)
class Run:
    """What the functions of one training share."""

    config: Config
    dataset: str
    workdir: Path
    strategy: Any
    workers: Any
    tagger: Any
    position: Position
    images: int
    steps: int


def make_run(config, dataset, workdir, strategy, workers, checkpoint) -> Run:
    from model.inputs import input_pipeline

    counts = _count(config, dataset, workdir, workers.is_chief)
    steps = input_pipeline.steps_per_epoch(
        counts.images, config.schedule.batch_size
    )
    position = checkpoint.position if checkpoint else Position()
    tagger = _make_tagger(config, counts, strategy, steps, checkpoint)
    # Messages name the step of the training, not of this run.
    tagger.watch.start_at(position.step)
    run = Run(
        config=config,
        dataset=dataset,
        workdir=workdir,
        strategy=strategy,
        workers=workers,
        tagger=tagger,
        position=position,
        images=counts.images,
        steps=steps,
    )
    if workers.is_chief:
        _print_start(run)
    return run


def _print_start(run: Run) -> None:
    tagger = run.tagger
    print(
        f"training {run.config.name}: {tagger.count_params() / 1e6:.2f} "
        f"million parameters, {tagger.classes} classes, {run.images} images, "
        f"batch {run.config.schedule.batch_size} on "
        f"{run.strategy.num_replicas_in_sync} replica(s)"
    )
    if run.position.step:
        print(f"going on after {run.position}", flush=True)


def _count(config, dataset, workdir, is_chief) -> TrainCounts:
    from model.inputs import input_pipeline

    vocabulary = load_vocabulary(dataset)
    shards = dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    least = config.data.min_confidence
    if not input_pipeline.has_images(shards):
        raise InputError(train_counts.no_images(dataset))

    def read():
        return TrainCounts(
            input_pipeline.count_records(shards),
            input_pipeline.label_counts(shards, len(vocabulary), least),
        )

    kept = workdir / files.COUNTS
    return train_counts.count(
        dataset, vocabulary, least, kept, read, write=is_chief
    )


def _make_tagger(config, counts, strategy, steps, checkpoint):
    """Returns the compiled tagger, as the checkpoint has it or fresh."""
    from model.network.tagger import Tagger
    from model.training import schedules

    with strategy.scope():
        tagger = Tagger(config, len(counts.per_class))
        optimizer = schedules.make_optimizer(
            config.schedule, steps, config.network.precision
        )
        # Before the weights are loaded, which its own are among.
        optimizer.build(tagger.trainable_variables)
        tagger.compile(
            optimizer=optimizer,
            steps_per_execution=config.schedule.steps_per_execution,
            jit_compile=False,  # The tagger compiles the parts that gain.
        )
        if checkpoint is None:
            tagger.set_prior(counts.per_class, counts.images)
        else:
            tagger.load_weights(checkpoint.path)
    return tagger


def distributed(run: Run, clock, first_epoch, first_step, epochs):
    """Returns the data from there on, as the strategy deals it to replicas."""
    # The rest of a broken epoch and the epochs after it are two data sets; the
    # clock counts on through both.
    before = first_epoch * run.steps + first_step
    before = (before - run.position.step) * _batches_a_step(run)

    def make(context):
        batches = _dataset(
            run,
            epochs=epochs,
            first_epoch=first_epoch,
            first_step=first_step,
            context=context,
        )
        return clock.watch(batches, before) if clock else batches

    return run.strategy.distribute_datasets_from_function(make)


def _batches_a_step(run: Run) -> int:
    # Of this worker's data: one for each of its replicas.
    return run.strategy.num_replicas_in_sync // run.workers.count


def _dataset(run: Run, **settings):
    from model.inputs import input_pipeline

    return input_pipeline.make_train_dataset(
        run.dataset,
        run.config.data,
        classes=run.tagger.classes,
        batch_size=run.config.schedule.batch_size,
        images=run.images,
        seed=run.config.seed,
        **settings,
    )


def callbacks(run: Run, clock, profile) -> tuple[list, Any]:
    """Returns the callbacks in their order, and the last of them."""
    from model.monitoring import progress, tensorboard
    from model.training import checkpoints, divergence
    from model.training.stop_requests import StopOnRequest

    def read_batch(epoch, step):
        batches = _dataset(
            run, epochs=epoch + 1, first_epoch=epoch, first_step=step
        )
        return next(batches.as_numpy_iterator())

    config, workdir, steps = run.config, run.workdir, run.steps
    nan = divergence.StopOnNaN(workdir, config, steps, read_batch)
    restore = checkpoints.RestoreLossMean(run.position)
    if not run.workers.is_chief:
        stop = StopOnRequest(steps, None, run.workers.count)
        return [restore, nan, stop], stop
    saver = checkpoints.SaveCheckpoints(workdir, config.checkpoint, steps)
    stop = StopOnRequest(steps, saver, run.workers.count)
    batch_size = config.schedule.batch_size
    board = tensorboard.make_callbacks(
        config,
        run.dataset,
        workdir,
        step=run.position.step,
        clock=clock,
        batches_a_step=_batches_a_step(run),
        profile=profile,
    )
    return [
        restore,
        # What goes wrong raises here, before anything of it is written.
        nan,
        progress.Progress(config.schedule.epochs, steps, batch_size),
        progress.HistoryFile(workdir / files.HISTORY, batch_size),
        # On disk before the checkpoint that a training goes on from.
        *board,
        saver,
        stop,
    ], stop
