"""What each name of the sources would become, before any work."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from beam_jobs.classes.class_choices import read_choices
from beam_jobs.classes.class_map import MAP_HEADER
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job.options import DatasetOptions, ImageChecks
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_output_file
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.option_fields import Option, Options
from beam_jobs.sources.find_sources import SourcePaths

# What `tagforest dataset` reads of a map, and what helps to edit it.
_COLUMNS = (*MAP_HEADER, "rule", "images", "synset", "others")


@dataclass(frozen=True)
class ListOptions(Options):
    """Which names to look at."""

    sources: SourcePaths = SourcePaths()
    vocabulary: VocabularyOptions = VocabularyOptions()
    out: Annotated[
        str | None,
        Option("Write the class map to edit: a CSV.", path=True),
    ] = None
    overwrite: Annotated[bool, Option("Replace the class map.")] = False


def list_classes(
    options: ListOptions,
    beam_args: Sequence[str] = (),
    *,
    on_note: Callable[[str], None] = lambda _: None,
) -> list[dict[str, str]]:
    """Returns a row for each name, the most images first.

    Annotations are read as the data set job reads them, images are not.

    Args:
        options: which names.
        beam_args: Beam's own options.
        on_note: called with what the user should know, a line each.

    Raises:
        InputError: as `build_dataset`; also where the map to write exists, or
            another job writes it.
    """
    if not options.out:
        return _list_rows(options, beam_args, on_note)
    _check_out(options.out, options.overwrite)
    with disk_errors(options.out), hold_output(f"{options.out}.lock"):
        # Another job may have ended just now.
        _check_out(options.out, options.overwrite)
        rows = _list_rows(options, beam_args, on_note)
        storage.write_text(options.out, to_map(rows))
        return rows


def _check_out(out: str, overwrite: bool) -> None:
    check_output_file(out)
    if storage.exists(out) and not overwrite:
        raise InputError(
            f"{out} exists; name another file with --out, or give --overwrite"
        )


def _list_rows(
    options: ListOptions,
    beam_args: Sequence[str],
    on_note: Callable[[str], None],
) -> list[dict[str, str]]:
    from beam_jobs.dataset_job.build_dataset import choose_classes

    with tempfile.TemporaryDirectory(prefix="tagforest-classes-") as folder:
        dataset = DatasetOptions(
            folder,
            options.sources,
            _keeping_all(options.vocabulary),
            images=ImageChecks(labels_only=True),
        )
        chosen = choose_classes(dataset, beam_args)
        for note in chosen.notes:
            on_note(note)
        chosen.save(folder)
        table = storage.join(folder, dataset_folder.CLASS_CHOICES)
        rows = read_choices(table) if storage.exists(table) else []
    return sorted(rows, key=lambda r: (-int(r["images"] or 0), r["key"]))


def _keeping_all(options: VocabularyOptions) -> VocabularyOptions:
    # A class with few images is no class without a name.
    return replace(options, min_images=1, min_images_open_images=1)


def to_map(rows: Sequence[dict[str, str]]) -> str:
    """Returns the rows as a class map, a CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow(
            (
                row["key"],
                row["wnid"],
                row["parent"],
                row["rule"],
                row["images"],
                row["synset"],
                row["alternatives"],
            )
        )
    return text.getvalue()
