"""Tests of pipelines that are one chain."""

import logging

import apache_beam as beam
import pytest

from beam_jobs.errors import InputError
from beam_jobs.runners.transforms import pipeline_of

SAID = "a.tfrecord is damaged at byte 12; copy it again"


def refuse(element):
    raise InputError(SAID)


def fail(element):
    raise RuntimeError(SAID)


def run(work):
    with pipeline_of([]) as pipeline:
        pipeline | beam.Create([1]) | beam.Map(work)


def test_a_refusal_of_a_worker_is_the_line_alone(caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(InputError) as caught:
        run(refuse)
    assert str(caught.value) == SAID
    assert caplog.records == []


def test_a_defect_keeps_its_traceback(caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError):
        run(fail)
    assert "in fail" in caplog.text


def test_a_refusal_from_another_process_is_found_in_its_text():
    error = f"beam_jobs.errors.InputError: {SAID} [while running 'A']"
    with pytest.raises(InputError) as caught, pipeline_of([]):
        raise RuntimeError(f"Traceback\n  x\n{error}\n")
    assert str(caught.value) == SAID
