"""What the phases of one process's training share, and how it is made."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes
from beam_jobs.errors import InputError
from model import extension_notes
from model import workdir as files
from model.checkpoint_files import Position
from model.config import Config
from model.extension_notes import Note
from model.full_disk import writing
from model.loss_kinds import SOFTMAX
from model.start import begin
from model.training import profiling

# The demo's 1,049 are few.
_FEW_STEPS = 300
_CPU = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Run:
    """What the functions of one training share.

    Attributes:
        position: where it goes on.
        images: of the training split.
        steps: of an epoch.
        epochs: to train to, those behind included.
        judge: knows the best epoch.
        notes: of the extensions that begin here.
        cached: features of the images, float32 [images, filters], where the
            head alone learns of them.
    """

    config: Config
    dataset: str
    workdir: Path
    strategy: Any
    workers: Any
    tagger: Any
    position: Position
    images: int
    steps: int
    epochs: int
    judge: Any
    notes: list[Note]
    cached: Any = None


def make_run(config, dataset, workdir, strategy, workers, checkpoint) -> Run:
    from model.inputs import input_pipeline, record_counts
    from model.training import best_epoch
    from model.training.strategy import chief_first

    def count():
        return record_counts.count(
            dataset, config.data, workdir, write=workers.is_chief
        )

    counts = chief_first(strategy, workers, count)
    _check_one_class(config, counts)
    steps = input_pipeline.steps_per_epoch(
        counts.images, config.schedule.batch_size
    )
    position = checkpoint.position if checkpoint else Position()
    notes = extension_notes.beginning(workdir, position)
    schedule = config.schedule
    position = best_epoch.going_on(position, schedule, extended=bool(notes))
    over = best_epoch.is_over(position.best, schedule)
    start = begin.load(workdir)
    tagger = _make_tagger(config, counts, strategy, steps, checkpoint, start)
    tagger.set_leaves(load_classes.load_folder(dataset)[1].is_leaf)
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
        epochs=position.epoch if over else schedule.epochs,
        judge=best_epoch.JudgeEpochs(schedule, steps, position.best),
        notes=notes,
        cached=_cached(config, dataset, workdir, strategy, workers, tagger),
    )
    if workers.is_chief:
        extension_notes.settle(workdir, position)
        _print_start(run)
    return run


def _check_one_class(config: Config, counts: Any) -> None:
    labels = int(counts.per_class.sum())
    if config.loss.kind == SOFTMAX and labels != counts.images:
        raise InputError(
            f"the loss {SOFTMAX} is for images of one class each; here "
            f"{counts.images} images have {labels} labels"
        )


def _print_start(run: Run) -> None:
    from model.inputs import input_pipeline

    tagger = run.tagger
    print(
        f"training {run.config.name}: {tagger.count_params() / 1e6:.2f} "
        f"million parameters, {tagger.classes} classes, {run.images} images, "
        f"batch {run.config.schedule.batch_size} on "
        f"{run.strategy.num_replicas_in_sync} replica(s)"
    )
    print(
        input_pipeline.describe(
            run.dataset, run.config, run.workers.count, run.workdir
        )
    )
    precision = run.config.network.precision
    # One that goes on keeps its own.
    fresh = not run.position.step
    if fresh and precision == "float32" and _cpu_has_bfloat16():
        print(
            "this CPU computes in bfloat16: --set "
            "network.precision=mixed_bfloat16 trains up to twice as fast"
        )
    steps = run.steps * run.config.schedule.epochs
    if steps < _FEW_STEPS:
        print(
            f"only {steps} steps in all, of which little is learned: --set "
            "schedule.epochs=N or a smaller schedule.batch_size makes more"
        )
    if run.position.step:
        print(f"going on after {run.position}", flush=True)
    for note in run.notes:
        print(note)
    if run.notes:
        _print_rates(run)


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU trains, and is faster in bfloat16 (Linux, x86)."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") or not _CPU.is_file():
        return False
    return "amx_bf16" in _CPU.read_text(encoding="utf-8")


def _print_rates(run: Run) -> None:
    """Says how the learning rate goes on, where it does so with a jump."""
    from model.training import extension
    from model.training.schedules import WarmupThenDecay

    before = extension.schedule_before(run.config.schedule, run.notes)
    old, new = (
        float(WarmupThenDecay(schedule, run.steps)(run.position.step))
        for schedule in (before, run.config.schedule)
    )
    if old != new:
        print(
            f"the learning rate goes on at {new:.3g}, as the new schedule has "
            f"it there; the one before has {old:.3g}",
            flush=True,
        )


def _cached(config, dataset, workdir, strategy, workers, tagger):
    if not config.start.cache_features:
        return None
    from model.start.cached_features import cached
    from model.training.strategy import chief_first

    def find():
        return cached(tagger, config, dataset, workdir)

    return chief_first(strategy, workers, find)


def _make_tagger(config, counts, strategy, steps, checkpoint, start):
    """Returns the compiled tagger, as the checkpoint has it or fresh."""
    from model.network.load_tagger import read_weights
    from model.network.make_model import make_model
    from model.network.weight_average import WeightAverage
    from model.training import schedules

    with strategy.scope():
        tagger = make_model(config, len(counts.per_class))
        begin.freeze(tagger, start)
        optimizer = schedules.make_optimizer(
            config.schedule, steps, config.network.precision
        )
        # Before the weights are loaded, which its own are among.
        optimizer.build(tagger.trainable_variables)
        if config.schedule.average:
            tagger.average = WeightAverage(
                optimizer, tagger.trainable_variables, config.schedule.average
            )
        tagger.compile(
            optimizer=optimizer,
            steps_per_execution=config.schedule.steps_per_execution,
            jit_compile=False,  # The tagger compiles the parts that gain.
        )
        if checkpoint is None:
            tagger.set_prior(counts.per_class, counts.images)
            for line in begin.begin(tagger, start) if start else ():
                print(line)
            if tagger.average:
                tagger.average.begin()
        else:
            read_weights(tagger, checkpoint.path)
            if tagger.average:
                tagger.average.go_on()
    return tagger


def fit(
    run: Run, profile: tuple[int, int] | None = None, probe: Any = None
) -> None:
    """Trains from where the run stands to its last epoch.

    Args:
        profile: first and last step of this run to profile.
        probe: of a dry run, see `model.training.probe`.
    """
    from model.inputs.input_clock import InputClock
    from model.training import validation
    from model.training.stall_watch import StallWatch

    if profile:
        left = run.epochs * run.steps - run.position.step
        profiling.check_profile(profile, left)
    clock = None
    if run.workers.is_chief and run.config.logging.input_wait:
        clock = InputClock()
    callbacks, stop = _callbacks(run, clock, profile)
    validate = validation.arguments(
        run.config, run.dataset, run.strategy, run.tagger.classes
    )
    if probe is not None:
        callbacks.append(probe)
        validate |= probe.shortened(validate)
    # One replica waits for nobody.
    several = run.strategy.num_replicas_in_sync > 1
    seconds = run.config.checkpoint.stall_seconds if several else 0.0
    watch = StallWatch(run.workers.index, seconds)
    # What is not said more closely where it is written.
    written = writing(run.workdir, f"a file in {files.LOGS}")
    with stop.listening(), watch.watching(), written:
        run.tagger.fit(
            functools.partial(distributed, run, clock),
            epochs=run.epochs,
            initial_epoch=run.position.epoch,
            initial_step=run.position.batch,
            steps_per_epoch=run.steps,
            verbose=0,
            callbacks=[watch, *callbacks],
            **validate,
        )
    if run.tagger.average:
        run.tagger.average.show()


def distributed(run: Run, clock, first_epoch, first_step, epochs):
    """Returns the data from there on, as the strategy deals it to replicas."""
    # The rest of a broken epoch and the epochs after it are two data sets; the
    # clock counts on through both.
    before = first_epoch * run.steps + first_step
    before = (before - run.position.step) * _batches_a_step(run)

    def make(context):
        made = batches(
            run,
            epochs=epochs,
            first_epoch=first_epoch,
            first_step=first_step,
            context=context,
        )
        return clock.watch(made, before) if clock else made

    return run.strategy.distribute_datasets_from_function(make)


def _batches_a_step(run: Run) -> int:
    # Of this worker's data: one for each of its replicas.
    return run.strategy.num_replicas_in_sync // run.workers.count


def batches(run: Run, **settings):
    """Returns a replica's batches, see `input_pipeline.make_train_dataset`."""
    from model.inputs import input_pipeline

    return input_pipeline.make_train_dataset(
        run.dataset,
        run.config.data,
        classes=run.tagger.classes,
        batch_size=run.config.schedule.batch_size,
        seed=run.config.seed,
        workdir=run.workdir,
        cached=run.cached,
        head=run.config.head,
        **settings,
    )


def _of_history(run: Run, epoch: int) -> dict[str, Any]:
    """Returns what a row of the history says besides."""
    best = {"best_epoch": run.judge.best.epoch} if run.judge.best else {}
    begins = [dict(n.changed) for n in run.notes if n.epoch == epoch]
    return best | ({"extended": begins} if begins else {})


def _callbacks(run: Run, clock, profile) -> tuple[list, Any]:
    """Returns the callbacks in their order, and the last of them."""
    from model.monitoring import experiment_tracker, progress, tensorboard
    from model.training import checkpoints, divergence
    from model.training.stop_requests import StopOnRequest

    def read_batch(epoch, step):
        made = batches(
            run, epochs=epoch + 1, first_epoch=epoch, first_step=step
        )
        return next(made.as_numpy_iterator())

    config, workdir, steps = run.config, run.workdir, run.steps
    nan = divergence.StopOnNaN(workdir, config, steps, read_batch)
    restore, judge = checkpoints.RestoreLossMean(run.position), run.judge
    if not run.workers.is_chief:
        stop = StopOnRequest(steps, None, run.workers.count)
        return [restore, nan, judge, stop], stop
    saver = checkpoints.SaveCheckpoints(
        workdir, config.checkpoint, steps, judge
    )
    stop = StopOnRequest(steps, saver, run.workers.count)
    batch_size = config.schedule.batch_size
    more = functools.partial(_of_history, run)
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
        judge,
        progress.Progress(config.schedule.epochs, steps, batch_size),
        progress.HistoryFile(workdir / files.HISTORY, batch_size, more),
        # On disk before the checkpoint that a training goes on from.
        *board,
        *experiment_tracker.make_tracking(
            config, workdir, tensorboard.hyperparameters(config)
        ),
        saver,
        stop,
    ], stop
