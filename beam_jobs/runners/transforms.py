"""Building blocks of pipelines that are one chain and run on any runner.

Some runners know no side inputs, no second outputs and no `Reshuffle`; all
know `GroupByKey`.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.errors import InputError
from beam_jobs.runners import prepare_runner

_T = TypeVar("_T")


# As Beam hands on a refusal from a worker, which may be another process.
_REFUSAL = re.compile(r"\bInputError: (.+?)(?: \[while running .*)?$", re.M)


@contextlib.contextmanager
def pipeline_of(beam_args: Sequence[str]) -> Iterator[beam.Pipeline]:
    """Runs what is put into it, with the options of Beam's command line.

    Raises:
        InputError: a worker did, without the words that Beam adds.
    """
    options = PipelineOptions(list(prepare_runner.prepare(beam_args)))
    logger = logging.getLogger("apache_beam.runners.common")
    logger.addFilter(_is_no_refusal)
    try:
        with beam.Pipeline(options=options) as pipeline:
            yield pipeline
    except Exception as error:
        found = _REFUSAL.search(f"{type(error).__name__}: {error}")
        if found is None:
            raise
        raise InputError(found[1]) from error
    finally:
        logger.removeFilter(_is_no_refusal)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    # Beam logs each error with its traceback before it hands it on.
    return not (record.exc_info and isinstance(record.exc_info[1], InputError))


class Spread(beam.PTransform):
    """Hands elements on to any worker, each with a key of its own.

    Args:
        key: a str or int by element.
    """

    def __init__(self, key: Callable[[Any], str | int]):
        super().__init__()
        self._key = key

    def expand(self, elements):
        return (
            elements
            | "Key" >> beam.Map(_with_key, self._key)
            | "Group" >> beam.GroupByKey()
            | "Elements" >> beam.FlatMap(_values)
        )


class AllTogether(beam.PTransform):
    """Elements -> one list of all of them, in any order."""

    def expand(self, elements):
        return (
            elements
            | "Key" >> beam.Map(_with_one_key)
            | "Group" >> beam.GroupByKey()
            | "Values" >> beam.Map(_values)
        )


def _with_key(element: _T, key: Callable[[_T], str | int]):
    return key(element), element


def _with_one_key(element: _T) -> tuple[int, _T]:
    return 0, element


def _values(group: tuple[str | int, Iterable[_T]]) -> list[_T]:
    return list(group[1])
