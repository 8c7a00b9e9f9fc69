"""Workers over links of a rate, against what bytes and seconds let expect.

    python -m tests.bench.network [FOLDER]

Needs the right to make network namespaces. All workers share this machine's
cores, so they are compared with themselves over links without a limit: what
the limit adds to a step is expected to be the time that its bytes take,
2 (W - 1) / W of 4 bytes a number by the ring's algorithm
(https://andrew.gibiansky.com/blog/machine-learning/baidu-allreduce).
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.helpers.hosts import Host, connected_hosts

from .two_workers import _SETTINGS, write_dataset

_WORKERS = (2, 3, 4)
_RATES = {"": np.inf, "1gbit": 1e9, "100mbit": 1e8}
_IMAGES, _BATCH, _EPOCHS = 768, 48, 4
_PORT = 2222


def seconds_a_step(
    hosts: list[Host], dataset: Path, workdir: Path
) -> tuple[float, float]:
    """Trains once; returns the median without the first epoch, and millions
    of parameters."""
    addresses = ",".join(f"{host.address}:{_PORT}" for host in hosts)
    with contextlib.ExitStack() as stack:
        workers = []
        for index, host in enumerate(hosts):
            command = [sys.executable, "-m", "tfx_pipeline.cli", "train"]
            command += [str(dataset), "--workdir", str(workdir)]
            command += ["--config", "demo", "--hosts", addresses]
            command += ["--worker-index", str(index)]
            for setting in (
                *_SETTINGS,
                f"schedule.epochs={_EPOCHS}",
                f"schedule.batch_size={_BATCH}",
            ):
                command += ["--set", setting]
            worker = subprocess.Popen(
                host.command(command), stdout=subprocess.PIPE, text=True
            )
            stack.callback(worker.kill)
            workers.append(worker)
        said = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError("\n".join(said))
    rows = json.loads((workdir / "history.json").read_text("utf-8"))[1:]
    rate = np.median([row["images_per_second"] for row in rows])
    millions = re.search(r"([0-9.]+) million parameters", said[0])
    assert millions is not None, said[0]
    return _BATCH / float(rate), float(millions[1])


def main(folder: Path) -> None:
    """Prints a table."""
    dataset = write_dataset(folder / "dataset", _IMAGES)
    print("| workers | link | MB a step | expected images/s | measured |")
    print("|---|---|---|---|---|")
    for count in _WORKERS:
        free = 0.0
        for rate, bits in _RATES.items():
            workdir = folder / f"run-{count}-{rate}"
            with connected_hosts(count, rate) as hosts:
                seconds, millions = seconds_a_step(hosts, dataset, workdir)
            free = free or seconds
            sent = 2 * (count - 1) / count * 4e6 * millions
            expected = _BATCH / (free + 8 * sent / bits)
            print(
                f"| {count} | {rate or 'no limit'} | {sent / 1e6:.1f} "
                f"| {expected:.0f} | {_BATCH / seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
