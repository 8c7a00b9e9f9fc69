"""Trains a tagger: checks first, then one worker here or several."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tensorflow_files
from beam_jobs.files.folder_lock import lock_folder
from beam_jobs.option_fields import from_mapping
from model import workdir as files
from model.backbone_names import RESNET_V2
from model.config import Config
from model.full_disk import writing
from model.inputs import record_order, train_counts
from model.start import begin
from model.training import local_workers
from model.training import prepare_workdir as prepare_workdir_
from model.training.estimate import Estimate
from model.training.options import TrainOptions
from model.training.rate_options import RateOptions
from model.training.train_result import TrainResult
from model.training.worker import train_worker
from model.workers import cluster, rendezvous

if TYPE_CHECKING:
    from model.training.find_rate import FoundRate

# Bytes a parameter in a checkpoint: weights and AdamW's two moments.
_BYTES_PER_PARAMETER = 12
# Parameters of a network of Keras or KerasHub, about.
_APPLICATION = 25_000_000
# Checkpoints at once: two kept, one being written; and the final weights.
_COPIES = 4


def train(
    config: Config,
    dataset: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    options: TrainOptions | None = None,
) -> TrainResult:
    """Trains from the last checkpoint of the workdir, or from scratch.

    Args:
        dataset: data set folder, as `tagforest dataset` writes it.
        workdir: for checkpoints, logs and the final weights.
        options: processes, restarts, what to profile.

    Raises:
        InputError: no data set, one without images, fewer images than a
            batch, too little disk, or a workdir that holds another training
            or is in use. All of it is checked before TensorFlow is loaded.
            Also: the loss is NaN, or a worker failed.
        StoppedError: SIGTERM or Ctrl-C; all is saved.
    """
    dataset, workdir = os.fspath(dataset), Path(workdir)
    config = replace(config, data=record_order.settled(config.data, dataset))
    options = options or TrainOptions()
    config = begin.described(config, workdir, options.restart)
    workers = cluster.workers_from_environment()
    _check_joined(options)
    count = max(workers.count, options.local_workers)
    if not workers.is_chief:
        with rendezvous.refusals_told(workers):
            _check(config, dataset, workdir, count)
        return _train_beside_chief(config, dataset, workdir, options)
    with contextlib.ExitStack() as stack:
        with rendezvous.refusals_told(workers):
            _check(config, dataset, workdir, count)
            # Only the chief: the others share its folder.
            stack.enter_context(lock_folder(os.fspath(workdir), "training"))
            _prepare(config, dataset, workdir, options)
        done = finished(workdir)
        if done is not None:
            print(f"{workdir} is trained already: {done.epochs} epochs")
            return done
        # To be started again, even a single worker is a process of its own.
        if options.local_workers == 1 and not options.max_restarts:
            return train_worker(
                config, dataset, workdir, options.profile, options.join_seconds
            )
        return _train_locally(dataset, workdir, options)


def _prepare(
    config: Config, dataset: str, workdir: Path, options: TrainOptions
) -> None:
    with writing(workdir, files.CONFIG):
        prepare_workdir_.prepare(
            workdir,
            dataset,
            config,
            restart=options.restart,
            extend=options.extend,
        )


def estimate(
    config: Config,
    dataset: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    options: TrainOptions | None = None,
) -> Estimate:
    """Returns what `train` would take; writes nothing into the workdir.

    Raises:
        InputError: as `train`, but for a workdir in use.
    """
    start = time.monotonic()
    dataset, workdir = os.fspath(dataset), Path(workdir)
    config = replace(config, data=record_order.settled(config.data, dataset))
    options = options or TrainOptions()
    config = begin.described(config, workdir, options.restart)
    workers, local = cluster.workers_from_environment(), options.local_workers
    _check_joined(options)
    count = max(workers.count, local)
    _check(config, dataset, workdir, count)
    if not options.restart:
        prepare_workdir_.check(workdir, dataset, config, extend=options.extend)
    from model.training import dry_run

    threads = local_workers.threads_of_each(local) if local > 1 else None
    return dry_run.measure(config, dataset, start, count, threads)


def find_rate(
    config: Config, dataset: str | os.PathLike[str], options: RateOptions
) -> FoundRate:
    """Returns what a short training of growing rates shows, thrown away.

    Raises:
        InputError: as `train`; or the loss fell at no rate.
    """
    dataset = os.fspath(dataset)
    with tempfile.TemporaryDirectory(prefix="tagforest-find-rate-") as folder:
        workdir = Path(folder)
        data = record_order.settled(config.data, dataset)
        config = begin.described(replace(config, data=data), workdir, False)
        _check(config, dataset, workdir, 1)
        from model.training.find_rate import measure

        return measure(config, dataset, workdir, options)


def _check_joined(options: TrainOptions) -> None:
    if not _is_joined():
        return
    cluster.check_not_local(options.local_workers)
    if options.max_restarts:
        raise InputError(
            "TF_CONFIG or --hosts makes this process one worker among "
            "others: what starts them all has to restart them; "
            f"received: --max-restarts {options.max_restarts}"
        )


def _is_joined() -> bool:
    return bool(os.environ.get("TF_CONFIG", "").strip())


def _train_beside_chief(
    config: Config,
    dataset: str,
    workdir: Path,
    options: TrainOptions,
) -> TrainResult:
    # Started again after the chief is through, it would wait for ever; but
    # what is there may be what the chief is about to go on from.
    anew = options.restart or (
        options.extend and not prepare_workdir_.is_of(workdir, config)
    )
    done = None if anew else finished(workdir)
    return done or train_worker(
        config, dataset, workdir, options.profile, options.join_seconds
    )


def finished(workdir: Path) -> TrainResult | None:
    """Returns the result of a training that is over, else None."""
    values = files.read_json(workdir / files.RESULT, None)
    if values is None or not (workdir / files.WEIGHTS).is_file():
        return None
    return from_mapping(TrainResult, values | {"workdir": os.fspath(workdir)})


def _check_batch(config: Config, workers: int) -> None:
    # Of its devices a worker knows only with TensorFlow: see strategy.check.
    schedule = config.schedule
    if schedule.batch_size % (workers * schedule.accumulation_steps):
        raise InputError(
            f"schedule.batch_size must be a multiple of the {workers} workers "
            f"times schedule.accumulation_steps "
            f"({schedule.accumulation_steps}); received: {schedule.batch_size}"
        )


def _check(config: Config, dataset: str, workdir: Path, workers: int) -> None:
    _check_batch(config, workers)
    config.logging.check_tracker()
    dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    train_counts.check_has_images(dataset)
    if config.schedule.validate_every:
        dataset_folder.shard_paths(dataset, dataset_folder.VALIDATION)
    classes = len(load_classes.load_vocabulary(dataset))
    hierarchy = storage.join(dataset, load_classes.HIERARCHY)
    if not storage.exists(hierarchy):
        raise InputError(f"no such file: {hierarchy}")
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir {workdir} is a file")
    parameters = _about_parameters(config, classes)
    copies = _COPIES + bool(config.schedule.best)
    each = _BYTES_PER_PARAMETER + 4 * bool(config.schedule.average)
    prepare_workdir_.check_disk(workdir, copies * each * parameters)
    tensorflow_files.register(dataset)
    begin.plan(config, dataset, workdir)


def _about_parameters(config: Config, classes: int) -> int:
    """Estimates the size of the network without building it."""
    network = config.network
    if network.backbone != RESNET_V2:
        return _APPLICATION + classes * 2048
    before = network.stem_filters
    total = 3 * before * network.stem_kernel**2
    for blocks, filters in zip(network.blocks, network.filters, strict=True):
        # Two 3x3 convolutions; or 1x1, 3x3, 1x1 on a quarter of the filters.
        if network.block == "basic":
            first, other = 9 * before * filters, 18 * filters**2
        else:
            first, other = before * filters // 4, 17 * filters**2 // 16
        total += before * filters + first + other * blocks
        before = filters
    # The head with its bias, and two run lengths of the loss.
    return total + classes * (before + 3)


def _train_locally(
    dataset: str,
    workdir: Path,
    options: TrainOptions,
) -> TrainResult:
    start, count = time.monotonic(), options.local_workers
    local_workers.launch(
        dataset, workdir, count, options.max_restarts, options.profile
    )
    result = finished(workdir)
    if result is None:
        raise InputError(
            f"the workers left no result in {workdir}; see "
            f"{workdir / files.WORKERS}"
        )
    if count > 1:
        digest = result.weights_sha256[:16]
        print(f"{count} workers, equal weights: {digest}...")
    return replace(result, seconds=time.monotonic() - start)
