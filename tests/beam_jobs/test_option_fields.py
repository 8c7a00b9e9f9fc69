"""Checked fields of options."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Annotated

import pytest

from beam_jobs.errors import InputError
from beam_jobs.option_fields import (
    Limits,
    Option,
    Options,
    changed,
    from_mapping,
    replace_paths,
)


@dataclass(frozen=True)
class Crop(Options):
    share: Annotated[float, Limits(over=0, max=1)] = 0.5
    area: Annotated[tuple[float, float], Limits(min=0, under=2)] = (0.5, 1.0)
    kind: Annotated[str | None, Limits(choices=("square", "free"))] = None


@dataclass(frozen=True)
class Job(Options):
    out: Annotated[str, Option("Folder.", path=True)]
    lists: Annotated[tuple[str, ...], Option("Lists.", path=True)] = ()
    distance: Annotated[int, Option("Bits.", flag="--near", max=11)] = 6
    crop: Crop = Crop()
    other: Crop | None = None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": 0.0}, "share must be over 0 and at most 1; received: 0.0"),
        ({"share": 1.5}, "share must be over 0 and at most 1; received: 1.5"),
        ({"share": math.nan}, "received: nan"),
        ({"area": (0.5, 2.0)}, "area must be at least 0 and under 2; received"),
        ({"kind": "round"}, "kind must be one of square, free; received: 'ro"),
    ],
)
def test_a_field_beyond_its_limits_is_refused(changes, message):
    with pytest.raises(InputError) as caught:
        Crop(**changes)
    assert message in str(caught.value)


def test_a_field_is_named_as_it_is_typed():
    with pytest.raises(InputError) as caught:
        Job("d", distance=12)
    said = "distance (--near) must be at most 11; received: 12"
    assert str(caught.value) == said


def test_bounds_that_are_allowed_and_none_pass():
    Crop(share=1, area=(0, 1.999), kind="free")
    Crop(kind=None)


@pytest.mark.parametrize(
    ("limits", "text", "interval"),
    [
        (Limits(min=1), "at least 1", "x>=1"),
        (Limits(over=0), "over 0", "x>0"),
        (Limits(max=1), "at most 1", "x<=1"),
        (Limits(under=1), "under 1", "x<1"),
        (Limits(min=0, max=1), "from 0 to 1", "0<=x<=1"),
        (Limits(min=0, under=1), "at least 0 and under 1", "0<=x<1"),
        (Limits(choices=("a", "b")), "one of a, b", ""),
    ],
)
def test_limits_say_what_they_allow(limits, text, interval):
    assert (str(limits), limits.interval) == (text, interval)


def test_options_come_back_from_json():
    job = Job("d", ("a", "b"), 3, Crop(0.25, (0.1, 0.2)), Crop(1.0))
    values = json.loads(json.dumps(dataclasses.asdict(job)))
    assert from_mapping(Job, values) == job


def test_what_came_back_is_checked():
    with pytest.raises(InputError, match="share must be over 0"):
        from_mapping(Job, {"out": "d", "crop": {"share": 0}})


def test_every_path_is_replaced_and_nothing_else():
    job = Job("d", ("a", "b"), crop=Crop(kind="free"))
    assert replace_paths(job, "/{}".format) == Job(
        "/d", ("/a", "/b"), crop=Crop(kind="free")
    )


def test_only_what_is_not_at_its_default_is_changed():
    assert changed(Job("d")) == {"out": "d"}
    job = Job("d", distance=3, crop=Crop(kind="free"), other=Crop())
    assert changed(job) == {
        "crop": {"kind": "free"},
        "distance": 3,
        "other": {},
        "out": "d",
    }
