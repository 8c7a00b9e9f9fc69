"""What replicas and workers settle between steps, and when one is gone."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from beam_jobs.errors import InputError
from model.config import Config
from model.workers import cluster
from model.workers.cluster import Workers
from model.workers.endings import WorkerLostError

# A process that has said nothing for so long is gone, or as good as that; a
# network may be cut for less.
HEARTBEAT_SECONDS = 20.0

# Between two looks at whether the chief is through.
_POLL_SECONDS = 0.5
T = TypeVar("T")


def make_strategy(
    workers: Workers, join_seconds: float = 600.0
) -> tf.distribute.Strategy:
    """Returns the strategy for these workers and this machine's devices.

    Args:
        join_seconds: longest wait until the others have started TensorFlow.
    """
    # Logical devices would initialize TensorFlow, too early for the workers.
    gpus = tf.config.list_physical_devices("GPU")
    if workers.count > 1:
        kind = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=kind.NCCL if gpus else kind.RING
        )
        _watch_over(workers, join_seconds)
        return tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=options
        )
    # One device needs none: the default strategy has nobody to talk to.
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _watch_over(workers: Workers, join_seconds: float) -> None:
    """Lets TensorFlow notice a worker that is gone or frozen.

    Without it TensorFlow waits for an hour until all are there.
    """
    # As TensorFlow, for which the strategy's own settings are not all.
    os.environ["TF_CONFIG"] = cluster.tf_config(
        workers.addresses, workers.index
    )
    jobs = tf.compat.v1.ConfigProto().experimental.coordination_config
    jobs.coordinated_job_list.add(name="worker", num_tasks=workers.count)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=int(join_seconds * 1000),
        heartbeat_timeout_in_ms=int(HEARTBEAT_SECONDS * 1000),
        coordinated_jobs=list(jobs.coordinated_job_list),
    )


def check(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError for what this number of replicas cannot do."""
    replicas = strategy.num_replicas_in_sync
    schedule = config.schedule
    whole = replicas * schedule.accumulation_steps
    if schedule.batch_size % whole:
        raise InputError(
            f"schedule.batch_size must be a multiple of the {replicas} "
            f"replicas times schedule.accumulation_steps "
            f"({schedule.accumulation_steps}); "
            f"received: {schedule.batch_size}"
        )
    if config.data.mixes and schedule.batch_size // replicas % 2:
        raise InputError(
            "data.mixup_alpha and data.cutmix_alpha mix pairs: schedule."
            f"batch_size must be a multiple of twice the {replicas} replicas; "
            f"received: {schedule.batch_size}"
        )
    synchronized = replicas > 1 and config.network.batch_norm_sync
    if synchronized and schedule.jit_compile == "network":
        raise InputError(
            "XLA cannot compile a network whose batch normalization talks "
            f"to the {replicas} replicas: set schedule.jit_compile=loss or "
            "network.batch_norm_sync=False"
        )


def from_chief(
    strategy: tf.distribute.Strategy, values: Sequence[int]
) -> list[int]:
    """Returns the chief's numbers on all workers; all must call it.

    Args:
        values: each below 2^31; those of other workers are ignored.
    """

    def keep_chiefs():
        context = tf.distribute.get_replica_context()
        # There is no broadcast: a sum in which all others are 0 is one.
        first = tf.cast(context.replica_id_in_sync_group == 0, tf.int64)
        numbers = first * tf.constant(list(values), tf.int64)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers)

    return _on_all(strategy, keep_chiefs).tolist()


def any_worker(strategy: tf.distribute.Strategy, here: bool) -> bool:
    """Returns whether it is so on any worker; all must call it."""

    def count():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.constant([int(here)], tf.int64)
        )

    return bool(_on_all(strategy, count)[0])


def chief_first(
    strategy: tf.distribute.Strategy, workers: Workers, work: Callable[[], T]
) -> T:
    """Returns what `work` returns, once the chief has done it; all must call.

    The others do it after the chief, and find what it has written. They wait
    in many short collectives: a long one may be taken for lost.
    """
    if workers.count == 1:
        return work()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work) if workers.is_chief else None
        while any_worker(strategy, done is not None and not done.done()):
            time.sleep(_POLL_SECONDS)
    return done.result() if done else work()


def _on_all(strategy: tf.distribute.Strategy, reduce: Callable) -> np.ndarray:
    found = tf.function(lambda: strategy.run(reduce))()
    return strategy.experimental_local_results(found)[0].numpy()


def set_on_replicas(variable: Any, value: float) -> None:
    """Gives a Keras variable that replicas keep apart one value on each.

    Such as the state of a metric, which is summed up only when it is read.
    """
    own = variable.value
    for part in getattr(own, "values", [own]):
        part.assign(value)


def first_replica(variable: Any) -> float:
    """Returns a scalar Keras variable's value on this worker's first one.

    No other worker takes part, unlike in reading it as a whole.
    """
    own = variable.value
    return float(getattr(own, "values", [own])[0].numpy())


# What gRPC and the collectives say of a peer that has gone, or is going.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def others_may_end(workers: Workers) -> Iterator[None]:
    """Turns what a collective operation says without its peers into a line."""
    try:
        yield
    except tf.errors.OpError as error:
        # With one worker these errors have other causes, and their own words.
        if workers.count == 1 or not isinstance(error, _LOST):
            raise
        print(
            f"error: worker {workers.index} lost another one "
            f"({_cause(error)}); start all again with the same command: "
            "they go on from the last checkpoint",
            file=sys.stderr,
        )
        raise WorkerLostError from error


# What TensorFlow says before the cause: the trace of the graph, too.
_BEFORE_CAUSE = ("Graph execution error", "Detected at node", "<stack", "  ")


def _cause(error: tf.errors.OpError) -> str:
    """Returns the line that says what went wrong."""
    lines = [line for line in str(error.message).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_BEFORE_CAUSE)]
    return (told or lines or ["no message"])[0].strip()[:200]
