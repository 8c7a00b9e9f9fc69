"""What single Beam runners need beyond their options.

Dask: Beam knows its runner by the class path only, puts everything into one
partition by default and starts a cluster for every pipeline. All else runs
with the options as they are.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage

DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
DATAFLOW = "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"

# More parts than workers, so that none waits long for the slowest.
_PARTITIONS_A_WORKER = 8
_CONNECT_SECONDS = 30

_SHORT_NAMES = {
    name: path
    for path in (DASK, DATAFLOW)
    for name in (
        path.lower(),
        path.rsplit(".", 1)[1].lower(),
        path.rsplit(".", 1)[1].lower().removesuffix("runner"),
    )
}


def class_path(beam_args: Sequence[str]) -> str:
    """Returns the class path of DASK or DATAFLOW, else the name as given."""
    name = _parsed(beam_args)[0].runner or ""
    return _SHORT_NAMES.get(name.lower(), name)


def prepare(beam_args: Sequence[str]) -> list[str]:
    """Returns the options with which a pipeline runs on the wanted runner.

    For Dask without an address it starts one worker a core on this machine,
    once in a process.

    Raises:
        InputError: Dask is not installed, or there is no scheduler.
    """
    known, others = _parsed(beam_args)
    if class_path(beam_args) != DASK:
        return list(beam_args)
    check_dask()
    args = ["--runner", DASK, *others]
    address = known.dask_client_address
    if known.dask_scheduler_file is None:
        address = address or _local_cluster().scheduler_address
        args += ["--dask_client_address", address]
    else:
        args += ["--dask_scheduler_file", known.dask_scheduler_file]
    threads = _introduce(address, known.dask_scheduler_file, tuple(others))
    if not _has_partitions(others):
        partitions = _PARTITIONS_A_WORKER * max(threads, 1)
        args += ["--dask_npartitions", str(partitions)]
    return args


def check_dask() -> None:
    """Checks that Dask is installed.

    Raises:
        InputError: it is not.
    """
    for module in ("dask", "distributed"):
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"--runner DaskRunner needs the library {module}; "
                "pip install dask distributed"
            )


def _parsed(
    beam_args: Sequence[str],
) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner")
    parser.add_argument("--dask_client_address")
    parser.add_argument("--dask_scheduler_file")
    return parser.parse_known_args(list(beam_args))


def _has_partitions(beam_args: Sequence[str]) -> bool:
    names = {argument.split("=")[0] for argument in beam_args}
    return bool(names & {"--dask_npartitions", "--dask_partition_size"})


@functools.cache
def _local_cluster() -> Any:
    from distributed import LocalCluster

    # Processes: Beam's transforms share their outputs between threads.
    cluster = LocalCluster(
        n_workers=len(os.sched_getaffinity(0)),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    )
    atexit.register(_close, cluster)
    return cluster


def _close(cluster: Any) -> None:
    """Closes the clients that Beam leaves open, then the cluster."""
    from distributed import default_client

    with contextlib.suppress(ValueError):
        while True:
            default_client().close()
    cluster.close()


@functools.cache
def _introduce(
    address: str | None, scheduler_file: str | None, options: tuple[str, ...]
) -> int:
    """Gives all workers, later ones too, the options of file systems.

    Returns:
        Threads of all workers.
    """
    from distributed import Client

    try:
        with Client(
            address,
            scheduler_file=scheduler_file,
            timeout=_CONNECT_SECONDS,
            set_as_default=False,
        ) as client:
            client.register_worker_callbacks(
                functools.partial(storage.use_options, options)
            )
            return sum(client.nthreads().values())
    except OSError as error:
        raise InputError(
            f"no Dask scheduler at {address or scheduler_file}: {error}; "
            "start one with `dask scheduler`, or leave the address out"
        ) from error
