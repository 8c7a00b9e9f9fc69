"""TensorFlow Serving's batching parameters for the local server."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from beam_jobs.errors import InputError
from serving.api.server_options import BatchingOptions, ServerOptions
from serving.tfserving import schemas
from serving.tfserving.check_setup import batching_problems, parse_text

# `session_bundle_config.proto`: what is taken where the file is silent.
_MAX_BATCH_SIZE = 1000
_MAX_ENQUEUED_BATCHES = 10


def with_batching(options: ServerOptions) -> ServerOptions:
    """Returns options with what their `batching_file`, if any, says.

    Raises:
        InputError: as `read_batching`.
    """
    path = options.batching_file
    if path is None:
        return options
    batching = read_batching(path)
    batching = replace(batching, all_models=options.batching.all_models)
    return replace(options, batching=batching, batching_file=None)


def read_batching(path: Path) -> BatchingOptions:
    """Returns what a `batching_parameters_file` says.

    Raises:
        InputError: it cannot be read, or TensorFlow Serving would refuse it.
    """
    problems = list(batching_problems(path))
    if problems:
        raise InputError(f"{path}: {'; '.join(problems)}")
    config = parse_text(path, schemas.BatchingParameters())

    def value(name: str, otherwise: int) -> int:
        given = config.HasField(name)
        return getattr(config, name).value if given else otherwise

    size = value("max_batch_size", _MAX_BATCH_SIZE)
    batches = value("max_enqueued_batches", _MAX_ENQUEUED_BATCHES)
    return BatchingOptions(
        max_batch_size=size,
        timeout_s=value("batch_timeout_micros", 0) / 1e6,
        max_queued_rows=size * batches,
        allowed_sizes=tuple(config.allowed_batch_sizes),
        # As there: a thread a core.
        parallel_batches=value("num_batch_threads", os.cpu_count() or 1),
    )
