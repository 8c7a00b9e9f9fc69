"""TF_CONFIG from a list of hosts (no TensorFlow here).

Where one container image runs on every host, only the number of the worker
differs: Kubernetes gives it as JOB_COMPLETION_INDEX to the pods of an indexed
Job (`model/kubernetes/train.yaml`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.errors import InputError

INDEX = "JOB_COMPLETION_INDEX"
_JOBS = ("chief", "worker")


def tf_config(hosts: Sequence[str], index: int) -> str:
    """Returns the TF_CONFIG of one worker.

    Args:
        hosts: `host:port` of each worker, in the same order everywhere; the
            first is the chief.
        index: of this worker.

    Raises:
        InputError: a host without a port, twice the same, or no such index.

    Example:
        >>> tf_config(["a:1", "b:1"], 1)
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", \
"index": 1}}'
    """
    hosts = _checked("--hosts", hosts)
    if not 0 <= index < len(hosts):
        raise InputError(
            f"the worker's index must be from 0 to {len(hosts) - 1}, one for "
            f"each of --hosts; received: {index}"
        )
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": hosts}, "task": task})


def _checked(where: str, hosts: Iterable[str]) -> list[str]:
    """Returns the addresses without blanks around them.

    Raises:
        InputError: one without a port, or twice the same.
    """
    hosts = [str(host).strip() for host in hosts]
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(
                f"{where} takes host:port for each worker; received: {host!r}"
            )
        if ":" in name and not (name.startswith("[") and name.endswith("]")):
            raise InputError(
                f"{where} takes an address of IPv6 in brackets: "
                f"[{name}]:{port}; received: {host!r}"
            )
    if len(set(hosts)) != len(hosts):
        raise InputError(f"{where} names a worker twice: {','.join(hosts)}")
    return hosts


def join(hosts: str, index: int | None = None) -> None:
    """Sets TF_CONFIG for this process.

    Args:
        hosts: `host:port` of all workers, with commas between.
        index: of this worker; by default what JOB_COMPLETION_INDEX says.

    Raises:
        InputError: as `tf_config`, or there is no index.
    """
    if index is None:
        text = os.environ.get(INDEX, "")
        if not text.isdecimal():
            raise InputError(
                "which of --hosts is this? Say --worker-index N, or set "
                f"{INDEX} as Kubernetes' indexed Jobs do; "
                f"received: {INDEX}={text!r}"
            )
        index = int(text)
    os.environ["TF_CONFIG"] = tf_config(hosts.split(","), index)


def check_not_local(local_workers: int) -> None:
    """Raises InputError for local workers beside those of a cluster."""
    if local_workers > 1:
        raise InputError(
            "TF_CONFIG or --hosts names the workers of a cluster: start one "
            f"on each of them; received: --local-workers {local_workers}"
        )


def _list(hosts: Any) -> list[Any]:
    if not isinstance(hosts, list):
        raise TypeError
    return hosts


@dataclass(frozen=True)
class Workers:
    """This process among the workers, as TF_CONFIG says.

    Attributes:
        count: number of workers.
        index: this one; 0 is the chief, which writes the files.
        addresses: `host:port` of each; none where there is one worker.
    """

    count: int = 1
    index: int = 0
    addresses: tuple[str, ...] = ()

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def address(self, index: int) -> tuple[str, int]:
        """Returns host and port of a worker."""
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)

    def name(self, index: int) -> str:
        """Returns which worker it is, for messages."""
        return f"worker {index} at {self.addresses[index]}"


def free_ports(count: int) -> list[int]:
    """Returns different free loopback ports."""
    # All open at once, or the system might name one port twice.
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def workers_from_environment() -> Workers:
    """Reads TF_CONFIG; without it there is one worker.

    Raises:
        InputError: TF_CONFIG is not as TensorFlow wants it, or names tasks
            other than workers.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return Workers()
    try:
        values = json.loads(text)
        cluster, task = values["cluster"], values["task"]
        jobs = {str(name): _list(hosts) for name, hosts in cluster.items()}
        kind, index = str(task["type"]), int(str(task["index"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "TF_CONFIG must be JSON such as "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}; received: {text!r}'
        ) from error
    for name in (*jobs, kind):
        if name not in _JOBS:
            raise InputError(
                f"TF_CONFIG: all tasks are workers here, which validate and "
                f"write too: of the jobs {' and '.join(_JOBS)}; received: "
                f"{name!r}"
            )
    if not jobs.get(kind):
        raise InputError(
            f"TF_CONFIG: this is a {kind}, and the cluster names none; "
            f"received: {text!r}"
        )
    if not 0 <= index < len(jobs[kind]):
        raise InputError(
            f"TF_CONFIG: the index of this {kind} must be from 0 to "
            f"{len(jobs[kind]) - 1}; received: {index}"
        )
    # TensorFlow numbers the chief first, then the workers.
    hosts = [host for name in _JOBS for host in jobs.get(name, ())]
    before = len(jobs.get("chief", ())) if kind == "worker" else 0
    addresses = tuple(_checked("TF_CONFIG", hosts))
    return Workers(len(addresses), before + index, addresses)
