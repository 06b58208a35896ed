"""Reads TARGET as it stands on the command line. Looks whether a file is there, but never opens, imports or runs it."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from gradflow.errors import TargetError, UsageError

FORMS = "file.py, -m pkg.mod, file.py:attr or pkg.mod:attr"


class Form(str, Enum):
    """The four ways to name a target."""

    FILE = "file"
    MODULE = "module"
    FILE_ATTRIBUTE = "file-attribute"
    MODULE_ATTRIBUTE = "module-attribute"


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A target as it was named: `place` is a path or a dotted module, `arguments` are the script's own."""

    form: Form
    place: str
    attribute: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words that name it on a command line."""
        match self.form:
            case Form.FILE:
                return (self.place, *self.arguments)
            case Form.MODULE:
                return ("-m", self.place, *self.arguments)
            case Form.FILE_ATTRIBUTE | Form.MODULE_ATTRIBUTE:
                return (f"{self.place}:{self.attribute}",)

    @property
    def is_attribute(self) -> bool:
        """True where a model is named rather than a program."""
        return self.form in (Form.FILE_ATTRIBUTE, Form.MODULE_ATTRIBUTE)


def parse_target(words: Sequence[str]) -> TargetSpec:
    """The target that `words` name: TARGET and what follows it.

    Raises:
        UsageError: the words have none of the four forms.
        TargetError: the file is not there.
    """
    if not words:
        raise UsageError(f"no target: expected {FORMS}, as in `gradflow audit train.py`")
    first, rest = words[0], tuple(words[1:])
    if first == "--":
        raise UsageError(f"`-- {shlex.join(rest)}`: a command cannot be audited yet; expected {FORMS}")
    if first == "-m":
        return _parse_module(rest)
    attribute = re.fullmatch(r"(.+\.py):([^:/\\]*)", first) or re.fullmatch(r"([^:/\\]+):([^:/\\]*)", first)
    if attribute:
        return _parse_attribute(first, attribute[1], attribute[2], rest)
    check_file(first)
    return TargetSpec(Form.FILE, first, arguments=rest)


def parse_function(text: str, option: str) -> tuple[str, str]:
    """(file, function) of `file.py:function`, which is there.

    Raises:
        UsageError: another form.
        TargetError: no such file.
    """
    match = re.fullmatch(r"(.+\.py):([A-Za-z_]\w*)", text)
    if match is None:
        raise UsageError(f"`{option} {text}`: expected file.py:function, as in `{option} losses.py:contrastive`")
    check_file(match[1])
    return match[1], match[2]


def check_file(place: str) -> None:
    """Returns if `place` is a file that can hold a Python program.

    Raises:
        TargetError: it is not there, or is a directory.
        UsageError: it is a notebook.
    """
    path = Path(place)
    if path.suffix == ".ipynb":
        raise UsageError(f"`{place}` is a notebook, and notebooks cannot be audited yet: save it as a script and audit that")
    if path.is_dir():
        inside = f"to run it as a package: gradflow audit -m {path.name}" if (path / "__main__.py").exists() else f"expected {FORMS}"
        raise TargetError(f"`{place}` is a directory; {inside}")
    if not path.is_file():
        raise TargetError(f"no such file: `{place}`{_nearest(path)}")


def relative_posix(path: str) -> str:
    """`path` with forward slashes, relative to the working directory where it lies below it."""
    if not path:
        return ""
    whole, here = os.path.abspath(path), os.getcwd()
    inside = os.path.relpath(whole, here) if whole.startswith(here.rstrip(os.sep) + os.sep) else whole
    return inside.replace(os.sep, "/")


def _parse_module(words: tuple[str, ...]) -> TargetSpec:
    if not words or not _is_dotted(words[0]):
        found = f"found `{words[0]}`" if words else "found nothing"
        raise UsageError(f"-m: expected the name of a module, as in `gradflow audit -m pkg.train`; {found}")
    return TargetSpec(Form.MODULE, words[0], arguments=words[1:])


def _parse_attribute(text: str, place: str, attribute: str, rest: tuple[str, ...]) -> TargetSpec:
    if not _is_dotted(attribute):
        raise UsageError(f"`{text}`: expected the name of a class, a model or a function after the colon, as in `model.py:Net`")
    if rest:
        raise UsageError(f"`{text}` names a model, which takes no arguments of a script; found `{shlex.join(rest)}` after it")
    if place.endswith(".py"):
        check_file(place)
        return TargetSpec(Form.FILE_ATTRIBUTE, place, attribute)
    if not _is_dotted(place):
        raise UsageError(f"`{text}`: expected {FORMS}")
    return TargetSpec(Form.MODULE_ATTRIBUTE, place, attribute)


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _nearest(path: Path) -> str:
    """A hint at the file that was probably meant, empty if none is near."""
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".py") if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1) or [name for name in names if name == f"{path.name}.py"]
    return f"; there is `{(folder / near[0]).as_posix()}`" if near else ""
