"""Options of the command line, made from dataclasses of options."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, TypeVar

import typer

if typing.TYPE_CHECKING:
    from beam_jobs.dataset_job.options import DatasetOptions
    from beam_jobs.sources.find_sources import SourcePaths

from beam_jobs.option_fields import (
    Option,
    Without,
    members,
    nested,
    split_annotated,
    typed_fields,
)

PASS_TO_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}

_T = TypeVar("_T")
_SEQUENCES = (tuple, list, Sequence, Collection)


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option for each field of its dataclasses.

    Every parameter of the command that is annotated with a dataclass is
    replaced by what the dataclass's fields say in `Option`, and those of the
    dataclasses in it; fields without one are no options. The command receives
    the dataclass, built: `__post_init__` has checked it. Defaults are the
    dataclass's. Other parameters are Typer's as ever.

    Example:
        @dataclass(frozen=True)
        class FetchOptions(Options):
            lists: Annotated[
                tuple[str, ...], Option("Lists of URLs.", argument=True)
            ]
            retries: Annotated[int, Option("Further attempts.", min=0)] = 3
            limits: Annotated[ImageLimits, Without("min_side")] = ImageLimits()

        @takes_options
        def fetch(context: typer.Context, options: FetchOptions) -> None:
            ...

        app.command(context_settings=PASS_TO_BEAM)(fetch)
    """
    own = inspect.signature(command, eval_str=True).parameters
    built: dict[str, tuple[Any, tuple[Any, ...]]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        hint, metadata = split_annotated(parameter.annotation)
        if dataclasses.is_dataclass(hint):
            built[name] = hint, metadata
            parameters += [_parameter(f) for f in _flags(hint, metadata)]
        else:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        given = {k: v for k, v in values.items() if k in own}
        for name, (cls, metadata) in built.items():
            given[name] = _build(cls, metadata, values)
        command(**given)

    # Typer asks for both, and would follow __wrapped__ to the command.
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapped.__wrapped__  # type: ignore[attr-defined]
    return wrapped


def build_options(cls: type[_T], values: Mapping[str, Any]) -> _T:
    """Builds a dataclass as a command does.

    Args:
        cls: its fields, and those of dataclasses in it, have options.
        values: by option, `open_images` for --open-images; the others have
            their defaults.

    Raises:
        InputError: a value that is not allowed.
        TypeError: no such option, or one that is missing.
    """
    unknown = set(values) - {flag.name for flag in _flags(cls)}
    if unknown:
        raise TypeError(f"{cls.__name__} has no option {sorted(unknown)}")
    return _build(cls, (), values)


def option_names(context: typer.Context) -> list[str]:
    """Returns the options of a command as they are typed."""
    names = [name for p in context.command.params for name in p.opts]
    return [name for name in names if name.startswith("--")]


@dataclass(frozen=True)
class _Flag:
    """One field on the command line.

    Attributes:
        name: of the command's parameter.
        kind: of the field.
        option: what the field says.
        default: MISSING for a field that must be given.
    """

    name: str
    kind: Any
    option: Option
    default: Any


def _flags(
    cls: Any,
    metadata: Sequence[Any] = (),
    start: Any = MISSING,
    optional: bool = False,
) -> Iterator[_Flag]:
    """Yields the options of a dataclass and of those in it.

    Args:
        metadata: of the dataclass, where it is used.
        start: its defaults there, an instance; MISSING for its own.
        optional: there may be none, and so nothing must be given.
    """
    for field, hint, extra in _taken(cls, metadata):
        default = _default(field, start)
        kind, may_be_none = nested(hint)
        if kind is not None:
            yield from _flags(kind, extra, _or_missing(default), may_be_none)
        if (option := _option(extra)) is not None:
            if default is MISSING and optional:
                default = None
            yield _Flag(_name(field.name, option), hint, option, default)


def _taken(cls: Any, metadata: Sequence[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Yields (field, type, metadata) of the fields that a command takes."""
    left_out = {n for m in metadata if isinstance(m, Without) for n in m.names}
    for field in dataclasses.fields(cls):
        if field.name not in left_out:
            yield field, *typed_fields(cls)[field.name]


def _option(metadata: Sequence[Any]) -> Option | None:
    return next((m for m in metadata if isinstance(m, Option)), None)


def _default(field: Any, start: Any) -> Any:
    if start is not MISSING:
        return getattr(start, field.name)
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _or_missing(default: Any) -> Any:
    return MISSING if default is None else default


def _name(field: str, option: Option) -> str:
    return option.flag.lstrip("-").replace("-", "_") or field


def _build(
    cls: Any,
    metadata: Sequence[Any],
    values: Mapping[str, Any],
    start: Any = MISSING,
) -> Any:
    """Builds a dataclass of what was given; None is the default."""
    given: dict[str, Any] = {}
    for without in metadata:
        if isinstance(without, Without):
            given |= without.values
    for field, hint, extra in _taken(cls, metadata):
        default = _default(field, start)
        kind, may_be_none = nested(hint)
        if kind is not None and not (may_be_none and _unasked(kind, values)):
            start_of_it = _or_missing(default)
            given[field.name] = _build(kind, extra, values, start_of_it)
        if (option := _option(extra)) is not None:
            value = values.get(_name(field.name, option))
            if value is not None:
                given[field.name] = _value(value, option)
    if start is not MISSING:
        return dataclasses.replace(start, **given)
    return cls(**given)


def _unasked(cls: Any, values: Mapping[str, Any]) -> bool:
    """Returns whether nothing is given that the dataclass must have."""
    needed = [f.name for f in _flags(cls) if f.default is MISSING]
    return all(values.get(name) is None for name in needed)


def _value(value: Any, option: Option) -> Any:
    if option.parse is not None:
        return option.parse(value)
    return tuple(value) if isinstance(value, list) else value


def _parameter(flag: _Flag) -> inspect.Parameter:
    """Returns what Typer is shown of a field."""
    option, default = flag.option, flag.default
    kind = _typed(option.typed or flag.kind)
    if option.parse is not None and default is not MISSING:
        default = option.show(default) if option.show else None
    elif isinstance(default, tuple):
        default = list(default) or None
    if default is None:
        kind = kind | None
    details: dict[str, Any] = {
        "help": option.help,
        "rich_help_panel": option.panel,
        "metavar": _metavar(flag),
    }
    names = [option.flag] if option.flag else []
    told = (
        typer.Argument(**details)
        if option.argument
        else typer.Option(*names, **details)
    )
    return inspect.Parameter(
        flag.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=Annotated[kind, told],
    )


def _metavar(flag: _Flag) -> str | None:
    option = flag.option
    # Of an argument it is the name.
    if option.metavar or option.argument:
        return option.metavar
    if option.path:
        return "PATH"
    if option.interval:
        names = [k.__name__ for k in (int, float) if k in members(flag.kind)]
        return f"<{names[0]} range> [{option.interval}]"
    return None


def _typed(kind: Any) -> Any:
    """Returns the type as Typer takes it: no tuples, no words."""
    found = []
    for member in members(kind):
        origin = typing.get_origin(member)
        if origin in _SEQUENCES:
            member = list[typing.get_args(member)[0]]  # type: ignore[misc]
        found.append(str if origin is typing.Literal else member)
    return functools.reduce(operator.or_, found)


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
