"""Options of the command line that settings files share, and the words that such a file adds to a command line.

Every option of a command is a setting of the same name: the settings become words of the command line, and its own words win. Settings
are read when a command runs, with imports that `--help` need not wait for.
"""

from __future__ import annotations

import argparse
import itertools
import os
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from gradflow.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from gradflow.settings import Key, Kind

_NO_SETTINGS = ("help", "select", "ignore", "write-baseline")
"""Options that would do harm as settings, or that the settings have in a form of their own."""


class Options(Protocol):
    """A parser that knows which of its options take a value."""

    def option(self, *names: str, **kwargs: object) -> None:
        """Adds an option."""


def whole(text: str) -> int:
    """The number for an option that counts."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def seed(text: str) -> int:
    """The seed that an option gives, a whole number that torch takes."""
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2**63 - 1, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """The number for an option that is a time."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, found {text!r}")
    return value


def add_selection(parser: Options) -> None:
    """Adds the options that choose findings by code."""
    parser.option("--select", action="append", default=[], metavar="CODES", help="only findings of these codes, as GF101,GF3; repeatable")
    parser.option("--ignore", action="append", default=[], metavar="CODES", help="no findings of these codes; repeatable")


def add_screening(parser: Options) -> None:
    """Adds the options for baselines, and for a closer look at parameters."""
    parser.option("--baseline", default="", metavar="FILE", help="findings that are in FILE do not count")
    parser.option("--write-baseline", default="", metavar="FILE", help="write the findings of this audit to FILE, as known from now on")
    parser.option(
        "--param", action="append", default=[], metavar="GLOB", help="why this layer (not) learns, as 'enc.3.*'; repeatable"
    )  # fmt: skip


def with_settings(
    parser: argparse.ArgumentParser, ours: list[str], rest: list[str], others: Sequence[argparse.ArgumentParser] = ()
) -> tuple[list[str], list[str]]:
    """(our words with those of the settings before them, the target's words with the settings' target where there are none).

    The selection becomes the default `selection` of the parser. `others` are the parsers of all commands, whose options are settings too.

    Raises:
        UsageError: a setting is wrong, in one sentence.
    """
    from gradflow.settings import read_settings

    actions = {name: action for action in parser._actions if (name := _name_of(action)) and name not in _NO_SETTINGS}
    keys = [_key(name, action) for name, action in actions.items()]
    also = [name for other in others for action in other._actions if (name := _name_of(action)) and name not in _NO_SETTINGS]
    settings = read_settings(_folder_of(rest), [*keys, _target_key()], also)
    for name, action in actions.items():
        _check_value(action, settings.values.get(name), f"`{settings.file}`: {name}")
    target, folder = settings.values.get("target"), os.path.dirname(settings.file)
    if not rest and isinstance(target, str):
        rest = _target_words(target, folder)
    tables = target if not rest and isinstance(target, tuple) else ()
    parser.set_defaults(targets=tuple((folder, table) for table in tables))
    given = [key.option for key in keys if any(_is_given(word, actions[key.name]) for word in ours)]
    if not _names_model(rest):
        given += ["--input", "--loss"]  # a program has its own, so these are meant for the models of the project
    parser.set_defaults(selection=settings.selection)
    return [*settings.words(keys, given), *ours], rest


def _name_of(action: argparse.Action) -> str:
    """`fail-on` for the option `--fail-on`, empty for what is no long option."""
    return next((option[2:] for option in reversed(action.option_strings) if option.startswith("--")), "")


def _key(name: str, action: argparse.Action) -> Key:
    from gradflow.settings import Key

    return Key(name, f"--{name}", _kind(action), tuple(str(choice) for choice in action.choices or ()))


def _kind(action: argparse.Action) -> Kind:
    from gradflow.settings import Kind

    if action.nargs == 0:
        return Kind.FLAG
    if isinstance(action.default, list):
        return Kind.TEXTS
    given = action.type if isinstance(action.type, type) else typing.get_type_hints(action.type).get("return", str) if action.type else str
    if given in (int, float):
        return Kind.WHOLE if given is int else Kind.NUMBER
    return Kind.PATH if str(action.metavar).startswith("FILE") else Kind.TEXT


def _target_key() -> Key:
    from gradflow.settings import Key, Kind

    return Key("target", "", Kind.TARGETS)


def _check_value(action: argparse.Action, value: object, where: str) -> None:
    """Says what is wrong with a value in the settings as the option would say it, but names the file."""
    if value is None or not callable(action.type):
        return
    try:
        action.type(str(value))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error


def _is_given(word: str, action: argparse.Action) -> bool:
    return any(
        word == option or word.startswith(f"{option}=") or (not option.startswith("--") and word.startswith(option))
        for option in action.option_strings
    )


def _folder_of(rest: Sequence[str]) -> Path:
    """Where the search for settings begins: the folder of the file that is named, else the working directory."""
    place = rest[0] if rest else ""
    if _names_model(rest):
        place = place.rpartition(":")[0]
    from pathlib import Path

    path = Path(place)
    return path if path.is_dir() else path.parent if place and path.is_file() else Path()


def _names_model(rest: Sequence[str]) -> bool:
    return bool(rest) and ":" in rest[0] and not os.path.isfile(rest[0])


def _target_words(target: str, folder: str) -> list[str]:
    import shlex

    words = shlex.split(target)
    if words and ".py" in words[0]:
        words[0] = os.path.join(folder, words[0])
    return words


def wants_json(ours: Sequence[str]) -> bool:
    """Whether JSON was asked for, however wrong the rest of the command line is."""
    return "--format=json" in ours or ("--format", "json") in itertools.pairwise(ours)


def output_of(ours: Sequence[str]) -> str:
    """The file for the report, where the options could not be parsed."""
    for word, after in zip(ours, [*ours[1:], ""], strict=True):
        if word in ("-o", "--output"):
            return after
        if word.startswith("--output="):
            return word.partition("=")[2]
    return ""
