"""Beam's own options, checked before a job starts."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.runners import prepare_runner

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

# Beam asks for the first three too, but only when the job is built.
_DATAFLOW_OPTIONS = (
    "project",
    "region",
    "temp_location",
    "sdk_container_image",
)


def check_beam_args(
    args: Sequence[str], own_options: Sequence[str] = ()
) -> None:
    """Checks options that are not ours: Beam must know every one.

    Beam itself only logs what it does not know, and a mistyped option of ours
    would go unnoticed.

    Args:
        args: as on the command line.
        own_options: options of the command, to find the one that was meant.

    Raises:
        InputError: an unknown option, a wrong value, an unknown runner, or
            one that lacks a library or an option.
    """
    if not args:
        # Beam takes seconds to load; a refusal of our own needs none of it.
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    path = prepare_runner.class_path(args)
    # The options of a runner are known once it is loaded.
    _load_runner(path)
    parser = _Parser(
        add_help=False, allow_abbrev=False, conflict_handler="resolve"
    )
    for group in _groups(PipelineOptions):
        group._add_argparse_args(parser)  # type: ignore[arg-type]
    known, unknown = parser.parse_known_args(list(args))
    if unknown:
        raise InputError(_describe(unknown[0], own_options, parser))
    if path == prepare_runner.DATAFLOW:
        _check_dataflow(known)


def check_reachable(
    beam_args: Sequence[str], folders: Iterable[storage.PathLike | None]
) -> None:
    """Checks that the workers of a job can see its folders.

    Args:
        beam_args: Beam's own options.
        folders: inputs and outputs; None and "" are left out.

    Raises:
        InputError: a local folder for workers on other machines, or an object
            store that cannot be used here.
    """
    elsewhere = prepare_runner.class_path(beam_args) == prepare_runner.DATAFLOW
    for folder in folders:
        if not folder:
            continue
        storage.check(folder)
        if elsewhere and not storage.is_remote(folder):
            raise InputError(
                f"Dataflow's workers cannot see {folder}: it is on this "
                "machine; copy it with `gcloud storage cp -r`, and give a "
                "gs:// folder"
            )


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


def _check_dataflow(known: argparse.Namespace) -> None:
    missing = [n for n in _DATAFLOW_OPTIONS if not getattr(known, n, None)]
    if missing:
        raise InputError(
            "--runner DataflowRunner needs "
            f"{', '.join(f'--{name}' for name in missing)} too; the README "
            "says how to build the image"
        )


def _load_runner(path: str) -> None:
    if not path:
        return
    from apache_beam.runners.runner import create_runner

    if path == prepare_runner.DASK:
        prepare_runner.check_dask()
    try:
        create_runner(path)
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(
            f"--runner {path}: Beam has no such runner; there are "
            "DirectRunner, DaskRunner, DataflowRunner, FlinkRunner and others"
        ) from error


def _describe(
    unknown: str, own_options: Sequence[str], parser: argparse.ArgumentParser
) -> str:
    name = unknown.split("=")[0]
    names = [*own_options, *parser._option_string_actions]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"neither tagforest nor Beam knows {unknown!r}{hint}"
