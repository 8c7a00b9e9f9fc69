"""Beam's own options, checked before a job starts."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import create_runner

from beam_jobs.errors import InputError

# The options of `tagforest dataset`, to find the one that was meant.
_OWN_OPTIONS = (
    "--out",
    "--imagenet",
    "--open-images",
    "--vocabulary",
    "--min-images",
    "--min-confidence",
    "--splits",
    "--seed",
    "--images-per-shard",
    "--overwrite",
)


def check_beam_args(args: Sequence[str]) -> None:
    """Checks options that are not ours: Beam must know every one.

    Beam itself only logs what it does not know, and a mistyped option of ours
    would go unnoticed.

    Raises:
        InputError: an unknown option, a wrong value, or an unknown runner.
    """
    parser = _Parser(
        add_help=False, allow_abbrev=False, conflict_handler="resolve"
    )
    for group in _groups(PipelineOptions):
        group._add_argparse_args(parser)  # type: ignore[arg-type]
    known, unknown = parser.parse_known_args(list(args))
    if unknown:
        raise InputError(_describe(unknown[0], parser))
    runner = getattr(known, "runner", None)
    if runner:
        try:
            create_runner(runner)
        except (ValueError, ImportError, AttributeError) as error:
            raise InputError(
                f"--runner {runner}: Beam has no such runner; there are "
                "DirectRunner, DataflowRunner, FlinkRunner and others"
            ) from error


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"an option of Beam is wrong: {message}")


def _groups(group: type[PipelineOptions]) -> list[type[PipelineOptions]]:
    found = []
    for sub in sorted(group.__subclasses__(), key=lambda g: g.__name__):
        if "_add_argparse_args" in vars(sub):
            found.append(sub)
        found += _groups(sub)
    return found


def _describe(unknown: str, parser: argparse.ArgumentParser) -> str:
    name = unknown.split("=")[0]
    names = [*_OWN_OPTIONS, *parser._option_string_actions]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"neither tagforest nor Beam knows {unknown!r}{hint}"
