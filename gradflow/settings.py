"""The user's settings: `[tool.gradflow]` in pyproject.toml, or the top level of gradflow.toml. Reads these files, and changes nothing.

A setting has the name of the command line's option, without the dashes, and the type of its value. What the options are is told by the
caller, so this file knows no command; besides them it knows `select`, `ignore` and `per-file-ignores`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from gradflow.errors import UsageError
from gradflow.selection import EVERYTHING, Selection, read_selectors

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser, before it came into the standard library
    import tomli as tomllib


class Kind(str, Enum):
    """What a setting's value is; the value of the enum stands in sentences."""

    FLAG = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = "a string"
    PATH = "a file name"  # relative to the settings' own folder
    TEXTS = "a list of strings"
    TARGETS = "a string, or tables with a path each"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `option` is the word of the command line that it stands for; `choices` are all its values, empty: any."""

    name: str
    option: str
    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file says. `values` are those of options; `file` is the path as errors name it, empty where there is no file."""

    file: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)

    def words(self, keys: Sequence[Key], given: Sequence[str] = ()) -> list[str]:
        """The values as words of a command line, without those of the options in `given`, which the real one has."""
        words: list[str] = []
        for key in keys:
            value = self.values.get(key.name)
            if value is None or value is False or key.option in given:
                continue
            if value is True:
                words.append(key.option)
            else:
                words += [f"{key.option}={entry}" for entry in (value if isinstance(value, tuple) else (value,))]
        return words


def read_settings(start: Path, keys: Sequence[Key], also: Sequence[str] = ()) -> Settings:
    """The settings that hold for what lies in the folder `start`: those of the nearest file, upwards; none where there is no file.

    In one folder gradflow.toml comes before pyproject.toml, which counts only if it has a table `[tool.gradflow]`.

    Args:
        also: names that another command takes as settings; they are passed over.

    Raises:
        UsageError: a file is no TOML, or a setting in it is unknown or has another type, in one sentence.
    """
    folder = Path(os.path.abspath(start))
    for place in (folder, *folder.parents):
        table = _read_table(place / "gradflow.toml")
        if table is not None:
            return _settings(table, place / "gradflow.toml", "", keys, also)
        table = _read_table(place / "pyproject.toml")
        tool = table.get("tool") if table is not None else None
        if isinstance(tool, dict) and "gradflow" in tool:
            return _settings(tool["gradflow"], place / "pyproject.toml", "tool.gradflow.", keys, also)
    return Settings()


def _read_table(path: Path) -> dict[str, Any] | None:
    """The top level of a TOML file, None where there is no such file."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_bytes().decode("utf-8"))
        return table
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"`{_shown(path)}` cannot be read: {error.strerror}") from error
    except ValueError as error:  # both a syntax error of TOML and text that is not UTF-8
        raise UsageError(f"`{_shown(path)}` is no valid TOML: {error}") from error


def _settings(table: Any, path: Path, prefix: str, keys: Sequence[Key], also: Sequence[str]) -> Settings:
    place = f"`{_shown(path)}`"
    if not isinstance(table, dict):
        raise UsageError(f"{place}: expected a table at {prefix.rstrip('.')}, found {table!r}")
    known = {key.name: key for key in keys}
    values: dict[str, Any] = {}
    for name, value in table.items():
        where = f"{place}: {prefix}{name}"
        if name in known:
            values[name] = _value(known[name], value, where, path.parent)
        elif name not in (*_OF_SELECTION, *also):
            raise UsageError(f"{place}: there is no setting {prefix}{name}{_nearest(name, [*known, *_OF_SELECTION])}")
    return Settings(_shown(path), values, _selection(table, f"{place}: {prefix}", path.parent))


_OF_SELECTION = ("select", "ignore", "per-file-ignores")


def _selection(table: Mapping[str, Any], where: str, folder: Path) -> Selection:
    per_file = table.get("per-file-ignores", {})
    if not isinstance(per_file, dict):
        _refuse(f"{where}per-file-ignores", "a table of file patterns", per_file)
    return Selection(
        select=_selectors(table, "select", where) or EVERYTHING,
        ignore=_selectors(table, "ignore", where),
        per_file=tuple((pattern, _selectors(per_file, pattern, f"{where}per-file-ignores.")) for pattern in per_file),
        root=folder.as_posix(),
        working=Path.cwd().as_posix(),
    )


def _selectors(table: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    return read_selectors(_texts(table.get(name, []), f"{where}{name}"), f"{where}{name}")


def _value(key: Key, value: Any, where: str, folder: Path) -> Any:
    """`value` as it has to be for `key`: a bool, a number, a string, or a tuple of strings."""
    kinds: dict[Kind, tuple[type, ...]] = {Kind.FLAG: (bool,), Kind.WHOLE: (int,), Kind.NUMBER: (int, float)}
    if key.kind is Kind.TEXTS:
        return _texts(value, where)
    if key.kind is Kind.TARGETS and isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return tuple(value)
    if not isinstance(value, kinds.get(key.kind, (str,))) or (isinstance(value, bool) and key.kind is not Kind.FLAG):
        _refuse(where, key.kind.value, value)
    if key.choices and value not in key.choices:
        _refuse(where, f"one of {', '.join(key.choices)}", value)
    return os.path.normpath(os.path.join(_shown(folder), str(value))) if key.kind is Kind.PATH and value else value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        _refuse(where, Kind.TEXTS.value, value)
    return tuple(value)


def _refuse(where: str, expected: str, found: Any) -> NoReturn:
    words = {True: "true", False: "false"}[found] if isinstance(found, bool) else repr(found)[:60]
    raise UsageError(f"{where}: expected {expected}, found {words}")


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib  # only where a name is wrong: every start of the command line would pay for it

    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"


def _shown(path: Path) -> str:
    """The path relative to the working directory where it lies below it, posix."""
    whole, here = path.as_posix(), Path.cwd()
    return path.relative_to(here).as_posix() if path == here or here in path.parents else whole
