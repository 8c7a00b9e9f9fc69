"""A training worker that kills itself, as SIGKILL from outside would.

    KILLS=1:4:begin,0:7:saving MARKERS=FOLDER \
        python -m tests.helpers.killed_worker DATASET WORKDIR

Each kill is worker:step:place, one after the other, each once. Places:
`begin` and `end` of a step; in the chief also `saving`, before the next
checkpoint gets its name, and `publishing`, between its weights and the file
that makes it complete.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from beam_jobs.files import tensorflow_files
from model import checkpoint_files
from model.training import worker as train_worker
from model.training.stop_requests import StopOnRequest

KILLS = [kill.split(":") for kill in os.environ["KILLS"].split(",")]
SIGNAL = signal.Signals[os.environ.get("KILL_SIGNAL", "SIGKILL")]
MARKERS = Path(os.environ["MARKERS"])


def kill_at(place: str, step: int) -> None:
    """Kills this process if that is what the next kill says."""
    done = len(list(MARKERS.iterdir()))
    if done == len(KILLS):
        return
    worker, wanted, where = KILLS[done]
    # A checkpoint may come some steps later.
    late = step > int(wanted) and place in ("saving", "publishing")
    reached = step == int(wanted) or late
    if (os.environ["TAGFOREST_WORKER"], place) == (worker, where) and reached:
        (MARKERS / str(done)).touch()
        os.kill(os.getpid(), SIGNAL)


def install() -> None:
    """Puts the places into the training."""
    begin = StopOnRequest.on_train_batch_begin
    end = StopOnRequest.on_train_batch_end
    publish = checkpoint_files.publish
    described = checkpoint_files._described
    steps = [0]

    def at_begin(self, batch, logs=None):
        steps[0] = int(self.model.optimizer.iterations.numpy()) + 1
        kill_at("begin", steps[0])
        begin(self, batch, logs)

    def at_end(self, batch, logs=None):
        end(self, batch, logs)
        kill_at("end", steps[0])

    def at_publish(workdir, position):
        kill_at("saving", steps[0])
        checkpoint_files._described = at_described
        publish(workdir, position)
        checkpoint_files._described = described

    def at_described(path):
        if path.is_file():
            kill_at("publishing", steps[0])
        return described(path)

    StopOnRequest.on_train_batch_begin = at_begin
    StopOnRequest.on_train_batch_end = at_end
    checkpoint_files.publish = at_publish


if __name__ == "__main__":
    install()
    tensorflow_files.end_process(train_worker._main(sys.argv[1:]))
