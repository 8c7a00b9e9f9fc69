"""Options of commands, made from dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from beam_jobs.cli_options import (
    PASS_TO_BEAM,
    build_options,
    option_names,
    takes_options,
)
from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options, Without


@dataclass(frozen=True)
class Limit(Options):
    max_bytes: Annotated[int, Option("Most bytes.", min=1, panel="Images")] = 9
    min_side: Annotated[int, Option("Least side.")] = 8


@dataclass(frozen=True)
class Model(Options):
    path: Annotated[str, Option("A model.", flag="--model", path=True)]
    signature: Annotated[str, Option("Its signature.")] = "scores"


def parse_shares(text: str) -> dict[str, float]:
    pairs = (part.split("=") for part in text.split(","))
    return {name: float(share) for name, share in pairs}


def show_shares(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={share}" for name, share in shares.items())


Paths = make_dataclass(
    "Paths",
    [
        (
            name,
            Annotated[tuple[str, ...], Option(f"A {name} file.", path=True)],
            field(default=()),
        )
        for name in ("coco", "voc")
    ],
    frozen=True,
    bases=(Options,),
)


@dataclass(frozen=True)
class Job(Options):
    """Every kind of field."""

    lists: Annotated[tuple[str, ...], Option("Lists.", argument=True)]
    out: Annotated[Path, Option("Folder.", path=True)]
    paths: Paths = Paths()  # type: ignore[valid-type]
    rate: Annotated[float | None, Option("A second.", over=0, max=1)] = None
    mode: Annotated[Literal["fast", "good"], Option("fast or good.")] = "good"
    changes: Annotated[tuple[str, ...], Option("F=V.", flag="--set")] = ("a",)
    overwrite: Annotated[bool, Option("Again.")] = False
    feed: Annotated[bool, Option("Feed.", flag="--feed")] = False
    limits: Annotated[Limit, Without("min_side")] = Limit(max_bytes=7)
    model: Model | None = None
    shares: Annotated[
        Mapping[str, float],
        Option("Shares.", typed=str, parse=parse_shares, show=show_shares),
    ] = field(default_factory=lambda: {"train": 1.0})
    hidden: int = 5


class App:
    """Runs a command and keeps what it received."""

    def __init__(self, context_settings=None):
        self.app = typer.Typer(add_completion=False)

        @self.app.command(context_settings=context_settings)
        @takes_options
        def run(
            context: typer.Context,
            options: Job,
            verbose: Annotated[bool, typer.Option(help="Say more.")] = False,
        ) -> None:
            """Does it."""
            self.options = options
            self.verbose = verbose
            self.rest = context.args
            self.names = option_names(context)

    def run(self, *arguments: str):
        return CliRunner().invoke(
            self.app, list(arguments), env={"COLUMNS": "100", "NO_COLOR": "1"}
        )


def test_a_command_receives_the_dataclass_with_its_own_defaults():
    app = App()
    done = app.run("a.txt", "b.txt", "--out", "d")
    assert done.exit_code == 0, done.output
    assert app.options == Job(("a.txt", "b.txt"), Path("d"))
    assert not app.verbose


def test_all_kinds_of_fields_are_read():
    app = App()
    text = (
        "a --out d --coco x --coco y --rate 0.5 --mode fast --set b --set c "
        "--overwrite --feed --max-bytes 3 --model m --signature s "
        "--shares train=0.5,test=0.5 --verbose"
    )
    done = app.run(*text.split())
    assert done.exit_code == 0, done.output
    assert app.options == Job(
        ("a",),
        Path("d"),
        paths=Paths(coco=("x", "y")),
        rate=0.5,
        mode="fast",
        changes=("b", "c"),
        overwrite=True,
        feed=True,
        limits=Limit(max_bytes=3),
        model=Model("m", "s"),
        shares={"train": 0.5, "test": 0.5},
    )
    assert app.verbose


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--rate 2", "rate must be over 0 and at most 1; received: 2.0"),
        ("--max-bytes 0", "max_bytes must be at least 1; received: 0"),
        ("--signature s", "--signature needs --model"),
    ],
)
def test_a_command_refuses_as_the_dataclass_does(given, message):
    done = App().run("a", "--out", "d", *given.split())
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == message


def test_help_shows_text_type_limits_and_default():
    text = App().run("--help").output
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "│ * lists... <list[str]> Lists. [required] │",
        "│ * --out <path> Folder. [required] │",
        "│ --coco <path> A coco file. │",
        "│ --rate <float range> [0<x<=1] A second. │",
        "│ --mode <str> fast or good. [default: good] │",
        "│ --overwrite --no-overwrite <bool> Again. [default: no-overwrite] │",
        "│ --feed <bool> Feed. │",
        "│ --model <path> A model. │",
        "│ --shares <str> Shares. [default: train=1.0] │",
        # In its own panel; the default is the one where it is used.
        "│ --max-bytes <int range> [x>=1] Most bytes. [default: 7] │",
    ):
        assert line in lines, text
    assert "hidden" not in text
    assert "min-side" not in text
    assert "Images" in text


def test_options_not_listed_go_on():
    app = App(PASS_TO_BEAM)
    done = app.run("--out", "d", "a", "--direct_num_workers", "2")
    assert done.exit_code == 0, done.output
    assert [*app.options.lists, *app.rest] == [
        "a",
        "--direct_num_workers",
        "2",
    ]
    assert {"--out", "--set", "--max-bytes", "--verbose"} < set(app.names)


def test_options_are_built_from_values_by_option():
    built = build_options(
        Job, {"lists": ["a"], "out": Path("d"), "shares": "train=0.25"}
    )
    assert built == Job(("a",), Path("d"), shares={"train": 0.25})


def test_an_option_that_does_not_exist_is_no_option():
    with pytest.raises(TypeError, match="min_sides"):
        build_options(Limit, {"min_sides": 3})
