"""Options as frozen dataclasses: a field carries its help and its limits.

    @dataclass(frozen=True)
    class FetchOptions(Options):
        concurrency: Annotated[int, Option("Requests at a time.", min=1)] = 64

`FetchOptions(concurrency=0)` is refused, wherever it is made, and
`beam_jobs.cli_options.takes_options` gives a command the option
`--concurrency` with this help and this default. Imports no framework.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar

from beam_jobs.errors import InputError

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a field takes, or each item of a tuple. None is always allowed.

    Attributes:
        min, max: bounds that are allowed themselves.
        over, under: bounds that are not.
        choices: the words allowed.

    Example:
        >>> str(Limits(over=0, max=1)), Limits(over=0, max=1).interval
        ('over 0 and at most 1', '0<x<=1')
    """

    min: float | None = None
    max: float | None = None
    over: float | None = None
    under: float | None = None
    choices: Collection[str] = ()

    def allow(self, value: Any) -> bool:
        """Returns whether a value, or every item of a tuple, is allowed."""
        if value is None:
            return True
        if isinstance(value, tuple):
            return all(map(self.allow, value))
        # So written, a NaN is within no bound.
        return (
            (self.min is None or value >= self.min)
            and (self.max is None or value <= self.max)
            and (self.over is None or value > self.over)
            and (self.under is None or value < self.under)
            and (not self.choices or value in self.choices)
        )

    def __str__(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.min is not None and self.max is not None:
            return f"from {self.min:g} to {self.max:g}"
        words = ("over", "at least", "under", "at most")
        bounds = (self.over, self.min, self.under, self.max)
        pairs = zip(words, bounds, strict=True)
        return " and ".join(f"{w} {b:g}" for w, b in pairs if b is not None)

    @property
    def interval(self) -> str:
        """The bounds as --help shows them: `x>=1`, `0<x<=1`; "" for none."""
        low = self.over if self.min is None else self.min
        high = self.under if self.max is None else self.max
        below = "" if self.under is None else "<"
        text = "x" if high is None else f"x{below or '<='}{high:g}"
        if low is None:
            return "" if high is None else text
        equal = "=" if self.over is None else ""
        return f"x>{equal}{low:g}" if high is None else f"{low:g}<{equal}{text}"


@dataclass(frozen=True, kw_only=True)
class _Typed:
    """How a field is given on a command line.

    Attributes:
        flag: `--set` for a field with another name; of a bool either
            `--sure` alone or `--cache/--no-cache`.
        argument: by its place, not by a name.
        panel: heading in --help.
        path: a path, or several.
        metavar: what --help shows for the type.
        typed: what is typed where the field holds something else, for
            example `str` for what `parse` makes of it.
        parse: returns the field's value, or raises InputError.
        show: returns the default as it is typed.
    """

    flag: str = ""
    argument: bool = False
    panel: str | None = None
    path: bool = False
    metavar: str | None = None
    typed: Any = None
    parse: Callable[[Any], Any] | None = None
    show: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Option(_Typed, Limits):
    """A field that commands take: its help, its limits, how it is typed."""

    help: str


class Without:
    """Fields of a nested dataclass that a command does not take.

    As in `Annotated[DatasetOptions, Without("overwrite", out="")]`.

    Args:
        names: these have their defaults.
        values: these have the values named.
    """

    def __init__(self, *names: str, **values: Any):
        self.names = {*names, *values}
        self.values = values


class Options:
    """Base of a frozen dataclass whose fields are checked when it is made.

    A `__post_init__` of its own, for what concerns several fields, calls this
    one first.

    Raises:
        InputError: a field beyond its limits.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, limits in _limits(kind).items():
            value = getattr(self, name)
            if not limits.allow(value):
                self.refuse(name, str(limits))

    def refuse(self, name: str, allowed: str) -> typing.NoReturn:
        """Raises InputError: a field, what it takes, what was received."""
        _, metadata = typed_fields(type(self))[name]
        flags = [m.flag for m in metadata if isinstance(m, Option) and m.flag]
        # As it is typed, where that is another name.
        shown = f"{name} ({flags[0]})" if flags else name
        raise InputError(
            f"{shown} must be {allowed}; received: {getattr(self, name)!r}"
        )


def typed_fields(cls: Any) -> Mapping[str, tuple[Any, tuple[Any, ...]]]:
    """Returns (type, metadata) by the name of a dataclass's field."""
    return _typed_fields(cls)


@functools.cache
def _typed_fields(cls: Any) -> Mapping[str, tuple[Any, tuple[Any, ...]]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: split_annotated(hints[f.name]) for f in fields(cls)}


def split_annotated(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns a type and what `Annotated` says of it."""
    if typing.get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__
    return hint, ()


@functools.cache
def _limits(cls: Any) -> dict[str, Limits]:
    return {
        name: item
        for name, (_, metadata) in typed_fields(cls).items()
        for item in metadata
        if isinstance(item, Limits)
    }


def nested(hint: Any) -> tuple[Any, bool]:
    """Returns the dataclass that a field holds, and whether it may be None.

    None instead of a class for a field that holds no dataclass.
    """
    kinds = members(hint)
    found = next((kind for kind in kinds if is_dataclass(kind)), None)
    return found, len(kinds) > 1


def members(hint: Any) -> tuple[Any, ...]:
    """Returns a type, or the types of a union."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def from_mapping(cls: type[_T], values: Mapping[str, Any]) -> _T:
    """Builds a dataclass, and those in it, of what `asdict` and JSON made.

    Raises:
        InputError: a value that is not allowed.
    """
    given = {}
    for name, value in values.items():
        kind, _ = nested(typed_fields(cls)[name][0])
        if kind is not None and value is not None:
            value = from_mapping(kind, value)
        given[name] = tuple(value) if isinstance(value, list) else value
    return cls(**given)


def changed(options: Any, usual: Any = None) -> dict[str, Any]:
    """Returns what is not at its default, nested options by name.

    A field that came since changes nothing where it was not given. Fields
    without a default are always there.

    Args:
        options: an instance.
        usual: one with the defaults; by default those of its class.

    Example:
        >>> @dataclass(frozen=True)
        ... class Fetch(Options):
        ...     url: str
        ...     retries: int = 5
        >>> changed(Fetch("x")), changed(Fetch("x", retries=1))
        ({'url': 'x'}, {'retries': 1, 'url': 'x'})
    """
    found: dict[str, Any] = {}
    for field in sorted(fields(options), key=lambda f: f.name):
        value = getattr(options, field.name)
        default = (
            _default_of(field) if usual is None else getattr(usual, field.name)
        )
        if is_dataclass(value):
            alike = is_dataclass(default)
            value = changed(value, default if alike else None)
            default = {} if alike else None
        if value != default:
            found[field.name] = value
    return found


def _default_of(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def replace_paths(options: _T, change: Callable[[str], str]) -> _T:
    """Returns options with every path changed, those of nested ones too."""
    changed = {}
    for name, (hint, metadata) in typed_fields(type(options)).items():
        value = getattr(options, name)
        if value and nested(hint)[0] is not None:
            changed[name] = replace_paths(value, change)
        elif value and any(isinstance(m, Option) and m.path for m in metadata):
            several = not isinstance(value, str)
            changed[name] = (
                tuple(map(change, value)) if several else change(value)
            )
    return dataclasses.replace(options, **changed)  # type: ignore[type-var]
