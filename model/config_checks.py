"""The base of a config's sections: values from files and text, all checked."""

from __future__ import annotations

import math
import numbers
from typing import Any, NoReturn, get_args, get_origin

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Options, members, typed_fields


class Section(Options):
    """Frozen fields that are checked: first their types, then their limits.

    Raises:
        InputError: names the field, what it takes and what was received.
    """

    def __post_init__(self) -> None:
        for name, (kind, _) in typed_fields(type(self)).items():
            if not _is(getattr(self, name), kind):
                shown = kind if get_args(kind) else kind.__name__
                self.refuse(name, f"a value of type {shown}")
        super().__post_init__()

    def refuse(self, name: str, allowed: str) -> NoReturn:
        """Raises InputError with the field's path in the config."""
        section = type(self).__name__.removesuffix("Config").lower()
        path = f"{section}.{name}" if section else name
        raise InputError(
            f"config field {path} must be {allowed}; "
            f"received: {getattr(self, name)!r}"
        )


def _is(value: Any, kind: Any) -> bool:
    """Returns whether a value is of a type. No bool is a number, no NaN."""
    if len(members(kind)) > 1:
        return any(_is(value, member) for member in members(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and _are(value, get_args(kind))
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        known = isinstance(value, number) and not isinstance(value, bool)
        return known and math.isfinite(value)
    return isinstance(value, kind)


def _are(values: tuple, kinds: tuple) -> bool:
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(values)
    return len(values) == len(kinds) and all(map(_is, values, kinds))
