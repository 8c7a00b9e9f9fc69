"""Building blocks of pipelines that are one chain and run on any runner.

Some runners know no side inputs, no second outputs and no `Reshuffle`; all
know `GroupByKey`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.runners import prepare_runner

_T = TypeVar("_T")


def pipeline_of(beam_args: Sequence[str]) -> beam.Pipeline:
    """Returns an empty pipeline with the options of Beam's command line."""
    return beam.Pipeline(
        options=PipelineOptions(list(prepare_runner.prepare(beam_args)))
    )


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
