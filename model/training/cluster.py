"""TF_CONFIG from a list of hosts (no TensorFlow here).

Where one container image runs on every host, only the number of the worker
differs: Kubernetes gives it as JOB_COMPLETION_INDEX to the pods of an indexed
Job (`model/kubernetes/train.yaml`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from beam_jobs.errors import InputError

INDEX = "JOB_COMPLETION_INDEX"


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
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(
                f"--hosts takes host:port,host:port,...; received: {host!r}"
            )
    if len(set(hosts)) != len(hosts):
        raise InputError(f"--hosts names a worker twice: {','.join(hosts)}")
    if not 0 <= index < len(hosts):
        raise InputError(
            f"the worker's index must be from 0 to {len(hosts) - 1}, one for "
            f"each of --hosts; received: {index}"
        )
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": list(hosts)}, "task": task})


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
