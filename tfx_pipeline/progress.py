"""One line for each component, in place of TFX's logs."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import logging as absl_logging

from tfx_pipeline import report

# What LocalDagRunner logs around each component, with its id as argument.
_STARTED = "Component %s is running."
_FINISHED = "Component %s is finished."
_NOISE = (
    # Of every look-up in SQLite (TFX 1.16), about a query option that this
    # pipeline does not use.
    "ArtifactQuery.property_predicate is not supported.",
    # The error itself says which and why.
    "Execution %d failed.",
)


@contextlib.contextmanager
def told(
    root: Path, tell: Callable[[str], None]
) -> Iterator[Callable[[], str]]:
    """Tells what each component did, and keeps logs below warnings away.

    Args:
        root: folder of the pipeline's metadata.
        tell: gets the lines.

    Yields:
        What returns the component at work.
    """
    logger = absl_logging.get_absl_logger()
    level = absl_logging.get_verbosity()
    listener = _Listener(root, tell)
    absl_logging.set_verbosity(absl_logging.INFO)
    logger.addFilter(listener)
    # TFMA 0.47 calls what TensorFlow warns is deprecated.
    tensorflow = logging.getLogger("tensorflow")
    tensorflow_level = tensorflow.level
    tensorflow.setLevel(logging.ERROR)
    try:
        yield lambda: listener.component
    finally:
        tensorflow.setLevel(tensorflow_level)
        logger.removeFilter(listener)
        absl_logging.set_verbosity(level)


class _Listener(logging.Filter):
    """Turns the runner's log records into lines; passes warnings only."""

    def __init__(self, root: Path, tell: Callable[[str], None]):
        super().__init__()
        self._root = root
        self._tell = tell
        self._start = time.monotonic()
        self.component = "the pipeline"

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == _STARTED:
            self._start = time.monotonic()
            if isinstance(record.args, tuple):
                self.component = str(record.args[0])
        elif record.msg == _FINISHED and isinstance(record.args, tuple):
            self._tell(self._line(str(record.args[0])))
        return record.levelno >= logging.WARNING and record.msg not in _NOISE

    def _line(self, component: str) -> str:
        seconds = time.monotonic() - self._start
        step = report.last_step(report.open_store(self._root), component)
        spent = "cached" if step.cached else f"{seconds:.1f} s"
        return f"{component:17} {spent:>8}  {step.summary}"
