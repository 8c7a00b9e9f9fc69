"""A batch in 8 parts against the same batch at once: memory and time.

The demo's network on 256 images of 128 pixels, whose activations are most of
what it needs. Each arm trains in a process of its own; its peak is that of
the process, less that of one which only builds the model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from . import timing

_PARTS = 8
_BATCH, _BATCH_SHORT = 256, 16
_ROUNDS = 6

_TRAIN = """
import json, resource, sys, time
import numpy as np
import tensorflow as tf
from model.config import override
from model.configs import demo
from model.network.tagger import Tagger
from model.training.schedules import make_optimizer
parts, batch, steps = map(int, sys.argv[1:])
config = override(demo.get_config(), [
    "data.image_size=128",
    f"schedule.batch_size={batch}",
    f"schedule.accumulation_steps={parts}",
])
tagger = Tagger(config, 258)
optimizer = make_optimizer(config.schedule, 100)
tagger.compile(optimizer=optimizer, jit_compile=False)
shape = (batch, 128, 128, 3)
images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
targets = np.zeros((batch, 258), np.int8)
data = tf.data.Dataset.from_tensors((images, targets)).repeat()
clock = [time.process_time()]
for _ in range(steps):
    tagger.fit(data, steps_per_epoch=1, verbose=0)
    clock.append(time.process_time())
took = np.diff(clock)[1:].tolist()
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, took]))
"""


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Trains a few steps both ways."""
    del folder
    batch = _BATCH_SHORT if short else _BATCH
    steps = 1 + (1 if short else _ROUNDS)
    built, _ = _train(1, batch, 0)
    (whole, bare), (parts, ours) = (
        _train(n, batch, steps) for n in (1, _PARTS)
    )
    name = f"accumulation, {_PARTS} parts of {batch} images"
    memory = [timing.exact(mb - built) for mb in (whole, parts)]
    times = [timing.exact((parts - built) / (whole - built))]
    took = {
        arm: [timing.Took(1, seconds, seconds) for seconds in found]
        for arm, found in ((timing.BARE, bare), (timing.OURS, ours))
    }
    return [
        timing.Comparison(f"{name}, memory", "MB", *memory, "times", *times),
        timing.compare_times(name, took),
    ]


def _train(parts: int, batch: int, steps: int) -> tuple[float, list[float]]:
    """Returns the peak, MB, and the CPU seconds of the steps but the first."""
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(parts), str(batch), str(steps)],
        check=True,
        capture_output=True,
        text=True,
    )
    kib, took = json.loads(done.stdout.splitlines()[-1])
    return kib / 1024, took
