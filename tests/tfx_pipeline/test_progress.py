"""What the runner's logs become."""

from __future__ import annotations

import logging

from absl import logging as absl_logging

from tfx_pipeline.progress import told


def test_a_failure_is_not_told_twice(tmp_path):
    passed = []
    handler = logging.Handler()
    handler.emit = lambda record: passed.append(record.getMessage())
    logger = absl_logging.get_absl_logger()
    logger.addHandler(handler)
    try:
        with told(tmp_path, print):
            # As TFX's launcher says it, before it raises the error.
            absl_logging.error("Execution %d failed.", 5)
            absl_logging.error("another")
    finally:
        logger.removeHandler(handler)
    assert passed == ["another"]
