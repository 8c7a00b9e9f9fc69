"""What the figures were measured on, and whether it was quiet."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

# Tasks that want to run, on average over the last minute.
QUIET_LOAD = 0.5
# Part of the cores' time that others may take during a benchmark.
QUIET_SHARE = 0.05

_PACKAGES = ("tensorflow", "keras", "apache-beam", "numpy")
# What decides which kernels oneDNN, XLA and numba pick.
_FLAGS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "BF16",
    "amx_tile": "AMX",
}
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPU_INFO = Path("/proc/cpuinfo")


def describe() -> dict[str, Any]:
    """Returns CPU, load, versions and commit; unknown ones are None."""
    info = _cpu_info()
    flags = info.get("flags", "").split()
    frequency = psutil.cpu_freq()
    return {
        "cpu": info.get("model name") or platform.processor() or None,
        "flags": [name for flag, name in _FLAGS.items() if flag in flags],
        "cores": cores(),
        "MHz": round(frequency.current) if frequency else None,
        "governor": _read(_GOVERNOR),
        "memory GiB": round(psutil.virtual_memory().total / 2**30),
        "load": round(os.getloadavg()[0], 2),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "commit": commit(),
    }


def lines(machine: dict[str, Any]) -> Iterator[str]:
    """Says what `describe` found, and warns if others are at work."""
    known = {k: "unknown" if v is None else v for k, v in machine.items()}
    known["flags"] = " ".join(machine["flags"]) or "no AVX2"
    yield (
        "{cpu}, {flags}; {cores} cores at {MHz} MHz, governor {governor}, "
        "{memory GiB} GiB; load {load}"
    ).format(**known)
    packages = ", ".join(f"{name} {known[name]}" for name in _PACKAGES)
    yield "Python {python}, {}; commit {commit}".format(packages, **known)
    if machine["load"] > QUIET_LOAD:
        yield (
            f"warning: the machine is not quiet: load {machine['load']}, "
            f"more than {QUIET_LOAD}; expect figures that are not printed"
        )


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def commit() -> str | None:
    """Returns the short name, with "+" where files differ from it."""
    name = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return name and name + ("+" if changed else "")


class Others:
    """How much of the cores' time others took since this was made.

    Counts what neither this process nor an ended child of it took: other
    programs, and what the host of a virtual machine gave to others.
    """

    def __init__(self) -> None:
        self._start = self._seconds()

    def share(self) -> float:
        """Returns their part of the cores' time, 0 to 1."""
        whole, busy, own = (
            now - then
            for now, then in zip(self._seconds(), self._start, strict=True)
        )
        return min(1.0, max(0.0, busy - own) / max(whole, 1e-9))

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        times = psutil.cpu_times()._asdict()
        # Guests are counted under user as well.
        whole = sum(s for k, s in times.items() if not k.startswith("guest"))
        idle = times["idle"] + times.get("iowait", 0.0)
        return whole, whole - idle, sum(os.times()[:4])


def _cpu_info() -> dict[str, str]:
    """Returns the first core's part of /proc/cpuinfo."""
    first = (_read(_CPU_INFO) or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _git(*arguments: str) -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments],
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
