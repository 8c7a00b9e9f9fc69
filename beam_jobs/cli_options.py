"""The options of a data set, shared by all commands that build one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from beam_jobs.dataset_job.options import DatasetOptions
    from beam_jobs.sources.find_sources import SourcePaths


PASS_TO_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}

_Given = Mapping[str, Any]

# Heading in the help -> option -> (type, default, help).
_OPTIONS: dict[str, dict[str, tuple[Any, Any, str]]] = {
    "Sources": {
        "imagenet": (
            list[str] | None,
            None,
            "Folder with <wnid>.tar files or <wnid>/ folders of images.",
        ),
        "imagenet_lists": (
            list[str] | None,
            None,
            "List of images as n01443537/n01443537_2.JPEG.",
        ),
        "open_images": (
            list[str] | None,
            None,
            "Folder with Open Images CSVs and images/.",
        ),
        "tencent_lists": (
            list[str] | None,
            None,
            "Tencent ML-Images list: file name or URL, class:confidence ...",
        ),
        "tencent_records": (
            list[str] | None,
            None,
            "Tencent ML-Images TFRecord file, or a folder of them.",
        ),
        "coco": (list[str] | None, None, "COCO JSON file of instances."),
        "voc": (
            list[str] | None,
            None,
            "Pascal VOC folder: Annotations/ and JPEGImages/.",
        ),
        "csv": (
            list[str] | None,
            None,
            "CSV with a column of images and one of labels.",
        ),
        "images": (
            list[str] | None,
            None,
            "Folder of the images that lists, COCO files and CSVs name.",
        ),
        "dictionary": (
            str | None,
            None,
            "Published dictionary, from Tencent's class index to WordNet id. "
            "Default: the vocabulary, if it is one.",
        ),
    },
    "Classes": {
        "vocabulary": (
            str | None,
            None,
            "Published dictionary or vocabulary.tsv. Default: built from the "
            "annotated classes and their WordNet ancestors.",
        ),
        "grow": (
            bool,
            False,
            "Add annotated classes that the vocabulary lacks; the others keep "
            "their index.",
        ),
        "min_images": (int, 1, "Least images of a class, when built."),
        "min_images_open_images": (
            int,
            650,
            "The same for classes that only Open Images has.",
        ),
        "abstract_classes": (
            str | None,
            None,
            "Rules that leave out classes no picture shows. Default: "
            "beam_jobs/abstract_classes.tsv; an empty name leaves none out.",
        ),
        "merges": (
            str | None,
            None,
            "TSV of classes whose labels go to another: wnid, into.",
        ),
        "removals": (str | None, None, "TSV of classes to leave out: wnid."),
    },
    "Labels": {
        "min_confidence": (
            float,
            0.7,
            "Least confidence of a positive label.",
        ),
        "cooccurrence": (
            str | None,
            None,
            "Pairs of classes that `tagforest cooccurrence` found.",
        ),
        "labels_only": (bool, False, "Write records without images."),
    },
    "Images": {
        "short_side": (
            int | None,
            None,
            "Resize larger images to this short side, pixels. Default: good "
            "JPEG files stay as they are.",
        ),
        "max_pixels": (int, 64_000_000, "Most pixels, width x height."),
        "max_bytes": (int, 32 * 1024 * 1024, "Most bytes of a file."),
    },
    "Splits": {
        "splits": (
            str,
            "train=0.9,validation=0.1",
            "Fractions of train, validation, calibration.",
        ),
        "seed": (int, 0, "Seed of the splits."),
        "validation_per_class": (
            int,
            5,
            "Most validation images of an annotated class; 0 for no cap.",
        ),
        "validation_max": (
            int,
            50_000,
            "Most validation images in all; 0 for no cap.",
        ),
        "near_duplicates": (
            int,
            6,
            "Bits of 64 that perceptual hashes of one picture may differ in; "
            "such images share a split. -1: exact copies only.",
        ),
    },
    "Output": {
        "images_per_shard": (
            int | None,
            None,
            "Images of a shard, about. Default: 4096, and 65536 records "
            "without images.",
        ),
        "overwrite": (bool, False, "Replace another data set."),
    },
}


def takes_dataset_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all options of a data set, as one mapping `given`."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in _names()}
        command(given=given, **values)

    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [p for p in own if p.name != "given"] + _parameters()
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapped.__wrapped__  # type: ignore[attr-defined]
    return wrapped


def path_options() -> tuple[str, ...]:
    """Returns the names of options that are paths, or lists of them."""
    classes = ("vocabulary", "abstract_classes", "merges", "removals")
    return (*_OPTIONS["Sources"], *classes, "cooccurrence")


def _names() -> list[str]:
    return [name for options in _OPTIONS.values() for name in options]


def _defaults() -> dict[str, Any]:
    return {
        name: default
        for options in _OPTIONS.values()
        for name, (_, default, _) in options.items()
    }


def _parameters() -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[
                kind,
                typer.Option(
                    help=text,
                    rich_help_panel=heading,
                    metavar="PATH" if name in path_options() else None,
                ),
            ],
        )
        for heading, options in _OPTIONS.items()
        for name, (kind, default, text) in options.items()
    ]


def option_names(command: Callable[..., None]) -> list[str]:
    """Returns the options of a command as they are typed."""
    names = inspect.signature(command).parameters
    return ["--" + name.replace("_", "-") for name in names]


def source_paths(given: _Given) -> SourcePaths:
    """Returns what is to be read."""
    from beam_jobs.sources.find_sources import SourcePaths

    paths = {
        name: given[name] if kind == str | None else tuple(given[name] or ())
        for name, (kind, _, _) in _OPTIONS["Sources"].items()
    }
    return SourcePaths(**paths)  # type: ignore[arg-type]


def dataset_options(given: _Given, out: str) -> DatasetOptions:
    """Returns what is to be built.

    Args:
        given: values by option, `open_images` and so on; the others have
            their defaults.
        out: folder of the data set.

    Raises:
        InputError: a value that is not allowed.
    """
    given = {**_defaults(), **given}
    from beam_jobs.classes.choose_classes import VocabularyOptions
    from beam_jobs.dataset_job.options import (
        DatasetOptions,
        ImageChecks,
        LabelOptions,
        SplitOptions,
        parse_fractions,
    )
    from beam_jobs.images.check_image import ImageLimits

    return DatasetOptions(
        out=out,
        sources=source_paths(given),
        vocabulary=VocabularyOptions(
            base=given["vocabulary"],
            grow=given["grow"],
            min_images=given["min_images"],
            min_images_open_images=given["min_images_open_images"],
            abstract_classes=given["abstract_classes"],
            merges=given["merges"],
            removals=given["removals"],
        ),
        labels=LabelOptions(given["min_confidence"], given["cooccurrence"]),
        images=ImageChecks(
            ImageLimits(given["max_bytes"], given["max_pixels"]),
            given["short_side"],
            given["labels_only"],
        ),
        splits=SplitOptions(
            parse_fractions(given["splits"]),
            given["seed"],
            given["validation_per_class"],
            given["validation_max"],
            given["near_duplicates"],
        ),
        images_per_shard=given["images_per_shard"],
        overwrite=given["overwrite"],
    )
