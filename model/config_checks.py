"""Checks of config fields; each error names the field and what it takes."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable
from typing import Any

from beam_jobs.errors import InputError

# Field annotations are strings (postponed evaluation) of these few kinds.
_CHECKS = {
    "int": lambda v: isinstance(v, numbers.Integral) and _no_bool(v),
    "float": lambda v: _is_number(v),
    "str": lambda v: isinstance(v, str),
    "float | None": lambda v: v is None or _is_number(v),
    "str | None": lambda v: v is None or isinstance(v, str),
    "bool": lambda v: isinstance(v, bool),
    "tuple[float, float]": lambda v: _all(v, _is_number) and len(v) == 2,
    "tuple[int, ...]": lambda v: _all(
        v, lambda i: isinstance(i, numbers.Integral) and _no_bool(i)
    ),
}


def check_types(config: Any) -> None:
    """Raises InputError for the first field with a value of another type."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        check = _CHECKS.get(str(f.type))
        if check is None:
            wrong = type(value).__name__ != f.type
        else:
            wrong = not check(value)
        if wrong:
            _refuse(config, f.name, f"a value of type {f.type}")


def check_choice(config: Any, name: str, allowed: Iterable[str]) -> None:
    """Raises InputError unless the field is one of the allowed words."""
    if getattr(config, name) not in allowed:
        _refuse(config, name, f"one of {', '.join(allowed)}")


def need_positive(config: Any, name: str) -> None:
    """Raises InputError unless the field, or all its items, exceed 0."""
    if not all(v > 0 for v in _values(config, name)):
        _refuse(config, name, "above 0")


def need_probability(config: Any, name: str) -> None:
    """Raises InputError unless the field lies in [0, 1]."""
    need_range(config, name, 0.0, 1.0)


def need_range(config: Any, name: str, low: float, high: float) -> None:
    """Raises InputError unless the field, or all its items, lie in range."""
    if not all(low <= v <= high for v in _values(config, name)):
        _refuse(config, name, f"from {low:g} to {high:g}")


def _refuse(config: Any, name: str, allowed: str) -> None:
    section = type(config).__name__.removesuffix("Config").lower()
    path = f"{section}.{name}" if section else name
    raise InputError(
        f"config field {path} must be {allowed}; "
        f"received: {getattr(config, name)!r}"
    )


def _values(config: Any, name: str) -> tuple:
    value = getattr(config, name)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _is_number(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and _no_bool(value)
    return number and math.isfinite(value)


def _no_bool(value: Any) -> bool:
    return not isinstance(value, bool)


def _all(value: Any, check) -> bool:
    return isinstance(value, tuple) and all(check(v) for v in value)
