"""What a training will take, as `--dry-run` tells it (no TensorFlow here)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Memory:
    """Bytes of one process.

    Attributes:
        parameters: numbers of the network, averages included.
        weights, gradients, optimizer: the values of each.
        averages: of them those of batch normalization.
        activations: of one image, that the backward pass needs; from the
            graph.
        images: at once through the network of a replica.
        input_batches: decoded, and waiting or in the making.
        process: most of the host's while it was measured.
        device: most of a GPU's, None without one.
    """

    parameters: int
    weights: int
    gradients: int
    averages: int
    optimizer: int
    activations: int
    images: int
    input_batches: int
    process: int
    device: int | None


@dataclass(frozen=True)
class Seconds:
    """How long each takes.

    Attributes:
        start: until the first step, compilation included.
        step: one training step.
        epoch_end: the checkpoint and what TensorBoard shows.
        look: at the validation split.
        checkpoint: one in mid-epoch.
        end: after the last epoch.
    """

    start: float
    step: float
    epoch_end: float
    look: float
    checkpoint: float
    end: float


@dataclass(frozen=True)
class Disk:
    """Bytes in the workdir.

    Attributes:
        checkpoint: one of them.
        checkpoints: so many at once.
        weights: the final ones.
        logs: for TensorBoard.
    """

    checkpoint: int
    checkpoints: int
    weights: int
    logs: int

    @property
    def total(self) -> int:
        return self.checkpoint * self.checkpoints + self.weights + self.logs


@dataclass(frozen=True)
class Estimate:
    """Of a whole training.

    Attributes:
        batch_size: of all workers together.
        steps: of an epoch.
        looks: at the validation split.
        saves: checkpoints in mid-epoch.
        forward_flops, flops: of an image, see `model.network.cost`.
        network: bytes that each worker sends in a step.
    """

    name: str
    workers: int
    batch_size: int
    epochs: int
    steps: int
    looks: int
    saves: int
    forward_flops: int | None
    flops: int | None
    network: int
    memory: Memory
    seconds: Seconds
    disk: Disk

    @property
    def total_seconds(self) -> float:
        each, epochs = self.seconds, self.epochs
        return (
            each.start
            + epochs * (self.steps * each.step + each.epoch_end)
            + self.looks * each.look
            + self.saves * each.checkpoint
            + each.end
        )


def ring_bytes(values: int, workers: int) -> int:
    """Returns what each worker sends to reduce so many bytes over a ring.

    Patarasuk and Yuan, https://doi.org/10.1016/j.jpdc.2008.09.002: the sum
    travels around it once in parts, and once more to be known to all.

    Example:
        >>> ring_bytes(1000, 1), ring_bytes(1000, 2), ring_bytes(1000, 4)
        (0, 1000, 1500)
    """
    return 2 * (workers - 1) * values // workers


def as_json(found: Estimate) -> dict[str, Any]:
    """Returns all of it, with the totals."""
    values = dataclasses.asdict(found)
    values["seconds"]["total"] = found.total_seconds
    values["disk"]["total"] = found.disk.total
    return values


def lines(found: Estimate) -> Iterator[str]:
    """Yields the estimate for the terminal, and how each figure was got."""
    for name, value, how in _rows(found):
        yield f"{name:<16}{value:<22}{how}".rstrip()


def _rows(found: Estimate) -> Iterator[tuple[str, str, str]]:
    yield from _memory_rows(found.memory)
    yield from _time_rows(found)
    disk = found.disk
    yield "disk", _bytes(disk.total), "in all, at its fullest; measured:"
    yield (
        "  checkpoints",
        f"{disk.checkpoints} x {_bytes(disk.checkpoint)}",
        "those that stay, and one being written",
    )
    yield "  weights", _bytes(disk.weights), "the final ones"
    yield "  logs", f"about {_bytes(disk.logs)}", "for TensorBoard"
    if found.workers > 1:
        yield (
            "network",
            f"{_bytes(found.network)} a step",
            f"sent by each of {found.workers} workers, computed",
        )


def _memory_rows(memory: Memory) -> Iterator[tuple[str, str, str]]:
    yield "parameters", f"{memory.parameters / 1e6:.2f} million", "counted"
    yield "memory", _bytes(memory.process), "of a process, measured; in it:"
    if memory.device is not None:
        yield "  of a GPU", _bytes(memory.device), "measured; in it:"
    yield "  weights", _bytes(memory.weights), "counted"
    yield "  gradients", _bytes(memory.gradients), "counted"
    yield "  optimizer", _bytes(memory.optimizer), "counted"
    yield (
        "  activations",
        f"{_bytes(memory.activations)} an image",
        f"times {memory.images} at once; from the graph",
    )
    yield (
        "  input",
        _bytes(memory.input_batches),
        "batches that wait; of its files unknown",
    )


def _time_rows(found: Estimate) -> Iterator[tuple[str, str, str]]:
    each = found.seconds
    rate = found.batch_size / each.step
    yield (
        "steps",
        f"{found.steps} an epoch",
        f"{found.steps * found.epochs} in {found.epochs} epochs",
    )
    yield "FLOPs an image", _flops(found.forward_flops), "forward"
    yield "", _flops(found.flops), "both passes, by TensorFlow's profiler"
    alone = ", without network" if found.workers > 1 else ""
    how = f"{rate:.0f} images/s measured{alone}"
    yield "a step", f"{each.step:.3f} s", how
    yield "start", _time(each.start), "measured, with the compilation"
    yield "epoch's end", _time(each.epoch_end), "measured: checkpoint, logs"
    if found.looks:
        yield "validation", _time(each.look), f"a look, {found.looks} of them"
    if found.saves:
        how = f"in mid-epoch, {found.saves} of them"
        yield "checkpoint", _time(each.checkpoint), how
    yield (
        "time in all",
        _time(found.total_seconds),
        f"computed, from step 1 on{alone}",
    )


def _bytes(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"


def _flops(number: int | None) -> str:
    return "unknown" if number is None else f"{number / 1e6:,.1f} million"


def _time(seconds: float) -> str:
    """Returns a duration in its two largest units.

    Example:
        >>> _time(5.23), _time(65.0), _time(90061.0)
        ('5.2 s', '1 min 5 s', '25 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
