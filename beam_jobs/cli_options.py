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

from beam_jobs.errors import InputError
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
    # What must be given stands first in --help, as in any signature.
    parameters.sort(key=lambda p: p.default is not p.empty)

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
    flag = option.flag.partition("/")[0]
    return flag.lstrip("-").replace("-", "_") or field


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
    """Returns whether nothing of a dataclass is given.

    Raises:
        InputError: something is, and not what it must have.
    """
    flags = list(_flags(cls))
    given = [f for f in flags if _is_given(f, values.get(f.name))]
    needed = [f for f in flags if f.default is MISSING and f not in given]
    if given and needed:
        names = [f.name.replace("_", "-") for f in (given[0], needed[0])]
        raise InputError(f"--{names[0]} needs --{names[1]}")
    return not given


def _is_given(flag: _Flag, value: Any) -> bool:
    return value is not None and _value(value, flag.option) != flag.default


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
        return "<path>"
    if option.interval:
        kinds = {*members(flag.kind), *typing.get_args(flag.kind)}
        names = [k.__name__ for k in (int, float) if k in kinds]
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
