"""Typed fields out of parsed JSON, each miss told as one sentence with the place (`findings[2].sites[0].line`). Knows no report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NoReturn, TypeVar

from gradflow.errors import UsageError

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

_WORDS = {str: "a string", int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "an object"}


def field(item: Mapping[str, Any], key: str, kind: type[T], where: str, default: T | None = None) -> T:
    """`item[key]`, which must be of `kind`; `default` where it is absent. `where` is the place of `item`, ended by a dot or empty."""
    if key not in item:
        if default is None:
            refuse(f"{where}{key}", kind, "nothing")
        return default
    return as_kind(item[key], kind, f"{where}{key}")


def optional_field(item: Mapping[str, Any], key: str, kind: type[T], where: str) -> T | None:
    """As `field`, and None where the value is null or absent."""
    return None if item.get(key) is None else field(item, key, kind, where)


def enum_field(item: Mapping[str, Any], key: str, kind: type[E], where: str) -> E:
    """The member of `kind` whose value stands at `key`."""
    text = field(item, key, str, where)
    for member in kind:
        if member.value == text:
            return member
    known = ", ".join(str(member.value) for member in kind)
    raise UsageError(f"this is no gradflow/1 report: expected one of {known} at {where}{key}, found {text!r}")


def each_field(item: Mapping[str, Any], key: str, where: str, read: Callable[[Mapping[str, Any], str], T]) -> tuple[T, ...]:
    """`read(entry, place)` of each entry of the list of objects at `key`."""
    entries = field(item, key, list, where)
    places = [f"{where}{key}[{number}]" for number in range(len(entries))]
    return tuple(read(as_kind(entry, dict, place), f"{place}.") for entry, place in zip(entries, places, strict=True))


def list_field(item: Mapping[str, Any], key: str, kind: type[T], where: str, *, absent: bool = False) -> tuple[T, ...]:
    """The list at `key`, whose entries must be of `kind`; empty where it is absent and may be."""
    if absent and key not in item:
        return ()
    return tuple(as_kind(entry, kind, f"{where}{key}[{number}]") for number, entry in enumerate(field(item, key, list, where)))


def as_kind(value: Any, kind: type[T], where: str) -> T:
    """`value` if it is of `kind`. An integer does for a float, true and false do for no number."""
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (kind in (int, float) and isinstance(value, bool)):
        refuse(where, kind, f"{value!r}"[:60])
    return value  # type: ignore[no-any-return]


def refuse(where: str, kind: type, found: str) -> NoReturn:
    """Raises the UsageError that `kind` was expected at `where`."""
    raise UsageError(f"this is no gradflow/1 report: expected {_WORDS[kind]} at {where}, found {found}")
