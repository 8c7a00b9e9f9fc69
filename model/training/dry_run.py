"""What a training would take, from two short epochs of it thrown away.

Everything is what a training does itself, on the real data set: its input, its
callbacks, its checkpoints and its look at the validation split. Only its
folder is a temporary one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model import checkpoint_files
from model import workdir as files
from model.config import Config
from model.inputs.input_pipeline import as_input_errors
from model.network.cost import image_cost
from model.network.make_model import make_model
from model.training import checkpoints, prepare_workdir
from model.training import run as run_
from model.training import strategy as strategy_
from model.training.estimate import Disk, Estimate, Memory, Seconds, ring_bytes
from model.training.probe import Probe
from model.training.run import Run
from model.training.train_result import TrainResult, write_result
from model.training.worker import limit_threads
from model.workers.cluster import Workers

# Of each of the two epochs; whole executions where those have more steps.
_STEPS, _EXECUTIONS = 20, 3
# Decoded batches: two wait, and two are in the making (`input_pipeline`).
_BATCHES = 4


def measure(
    config: Config,
    dataset: str,
    start: float,
    workers: int = 1,
    threads: int | None = None,
) -> Estimate:
    """Returns what a training takes; writes below the temporary folder alone.

    Args:
        start: when the command was, as `time.monotonic` has it.
        workers: over which it is spread. This process does what one of them
            would do, without the others.
        threads: of one worker; None: as many as there are cores.

    Raises:
        InputError: as a training.
    """
    limit_threads(threads)
    with (
        tempfile.TemporaryDirectory(prefix="tagforest-dry-run-") as folder,
        # What is said on the way is no part of the answer.
        contextlib.redirect_stdout(sys.stderr),
        as_input_errors(dataset),
    ):
        run = _make_run(config, dataset, Path(folder), workers)
        probe = Probe(run.steps, Path(folder) / files.LOGS)
        run_.fit(run, probe=probe)
        return _estimate(config, run, probe, workers, start)


def _make_run(config: Config, dataset: str, folder: Path, workers: int) -> Run:
    """Returns a short run of what one worker would do."""
    schedule = dataclasses.replace(
        config.schedule,
        batch_size=config.schedule.batch_size // workers,
        # In the second epoch as in the first, which compiles.
        validate_every=min(config.schedule.validate_every, 1),
    )
    # Nobody wants to follow it.
    logging = dataclasses.replace(config.logging, tracker=None)
    own = dataclasses.replace(config, schedule=schedule, logging=logging)
    prepare_workdir.prepare(folder, dataset, own)
    strategy = strategy_.make_strategy(Workers())
    keras.utils.set_random_seed(config.seed)
    strategy_.check(own, strategy)
    run = run_.make_run(own, dataset, folder, strategy, Workers(), None)
    steps = max(_STEPS, _EXECUTIONS * schedule.steps_per_execution)
    return dataclasses.replace(run, steps=min(run.steps, steps), epochs=2)


def _estimate(
    config: Config, run: Run, probe: Probe, workers: int, start: float
) -> Estimate:
    now = time.monotonic()
    # Before anything that a training does not do.
    memory = _memory(run)
    checkpoint_seconds, end_seconds = _save(run)
    cost = image_cost(make_model(run.config, run.tagger.classes))
    schedule = config.schedule
    steps = run.images // schedule.batch_size
    return Estimate(
        name=config.name,
        workers=workers,
        batch_size=schedule.batch_size,
        epochs=schedule.epochs,
        steps=steps,
        looks=_looks(config),
        saves=_saves(config, steps, probe.seconds_a_step),
        forward_flops=cost.forward_flops,
        flops=cost.flops,
        network=ring_bytes(memory.gradients + memory.averages, workers),
        memory=dataclasses.replace(memory, activations=cost.activation_bytes),
        seconds=Seconds(
            start=max(probe.first_end - start - probe.seconds_an_epoch, 0.0),
            step=probe.seconds_a_step,
            epoch_end=probe.seconds_after,
            look=probe.seconds_a_look,
            checkpoint=checkpoint_seconds,
            end=now - probe.end + end_seconds,
        ),
        disk=_disk(config, run, probe),
    )


def _memory(run: Run) -> Memory:
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    info = tf.config.experimental.get_memory_info
    gpus = [d.name for d in tf.config.list_logical_devices("GPU")]
    tagger, schedule = run.tagger, run.config.schedule
    replicas = run.strategy.num_replicas_in_sync
    at_once = schedule.batch_size // replicas // schedule.accumulation_steps
    batch = run_.batches(run, epochs=1).element_spec
    sizes = [math.prod(t.shape) * t.dtype.size for t in batch]
    return Memory(
        parameters=tagger.count_params(),
        weights=_bytes(tagger.weights),
        gradients=_bytes(tagger.trainable_variables),
        averages=_bytes(tagger.backbone.non_trainable_variables),
        optimizer=_bytes(tagger.optimizer.variables),
        activations=0,
        images=at_once,
        input_batches=_BATCHES * sum(sizes),
        process=process,
        device=max((info(gpu)["peak"] for gpu in gpus), default=None),
    )


def _bytes(variables: Iterable[Any]) -> int:
    return sum(
        math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables
    )


def _save(run: Run) -> tuple[float, float]:
    """Returns the seconds of a checkpoint, and of the final weights."""
    saver = checkpoints.SaveCheckpoints(
        run.workdir, run.config.checkpoint, run.steps
    )
    saver.set_model(run.tagger)
    begin = time.monotonic()
    saver.save(run.steps)
    saved = time.monotonic()
    nothing = TrainResult("", 0, 0, 0.0, 0.0, 0.0, "")
    write_result(run.workdir, run.tagger, nothing)
    return saved - begin, time.monotonic() - saved


def _looks(config: Config) -> int:
    schedule = config.schedule
    every = schedule.validate_every
    # The last epoch has one in any case.
    return -(-schedule.epochs // every) if every else 0


def _saves(config: Config, steps: int, seconds_a_step: float) -> int:
    """Returns the checkpoints in mid-epoch."""
    wanted, found = config.checkpoint, 0
    if wanted.every_steps:
        found = (steps - 1) // wanted.every_steps
    if wanted.every_seconds:
        by_time = int(steps * seconds_a_step // wanted.every_seconds)
        found = max(found, by_time)
    return found * config.schedule.epochs


def _disk(config: Config, run: Run, probe: Probe) -> Disk:
    [*_, last] = checkpoint_files.checkpoints(run.workdir)
    first, second = probe.log_bytes
    epochs = config.schedule.epochs
    # And the one that is being written.
    kept = config.checkpoint.keep + 1 + bool(config.schedule.best)
    return Disk(
        checkpoint=last.bytes,
        checkpoints=min(kept, epochs + 1),
        weights=(run.workdir / files.WEIGHTS).stat().st_size,
        logs=probe.bytes_of_logs() + (epochs - 2) * (second - first),
    )
