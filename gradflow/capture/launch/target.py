"""Reads TARGET as it stands on the command line. Looks whether a file is there, but never opens, imports or runs it."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from gradflow.errors import TargetError, UsageError

FORMS = "file.py, notebook.ipynb, -m pkg.mod, file.py:attr, pkg.mod:attr or -- COMMAND"


class Form(str, Enum):
    """The ways to name a target."""

    FILE = "file"
    NOTEBOOK = "notebook"
    MODULE = "module"
    COMMAND = "command"
    FILE_ATTRIBUTE = "file-attribute"
    MODULE_ATTRIBUTE = "module-attribute"


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A target as it was named: `place` is a path, a dotted module or a program, `arguments` are the script's own."""

    form: Form
    place: str
    attribute: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words that name it on a command line."""
        match self.form:
            case Form.FILE | Form.NOTEBOOK:
                return (self.place, *self.arguments)
            case Form.COMMAND:
                return ("--", self.place, *self.arguments)
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
        UsageError: the words have none of the forms.
        TargetError: the file or the program is not there.
    """
    if not words:
        raise UsageError(f"no target: expected {FORMS}, as in `gradflow audit train.py`")
    first, rest = words[0], tuple(words[1:])
    if first == "--":
        return _parse_command(rest)
    if first == "-m":
        return _parse_module(rest)
    attribute = re.fullmatch(r"(.+\.py):([^:/\\]*)", first) or re.fullmatch(r"([^:/\\]+):([^:/\\]*)", first)
    if attribute:
        return _parse_attribute(first, attribute[1], attribute[2], rest)
    check_file(first)
    if first.endswith(".ipynb"):
        if rest:
            raise UsageError(f"`{first}` is a notebook, which takes no arguments; found `{shlex.join(rest)}` after it")
        return TargetSpec(Form.NOTEBOOK, first)
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
    """Returns if `place` is a file.

    Raises:
        TargetError: it is not there, or is a directory.
    """
    path = Path(place)
    if path.is_dir():
        inside = f"to run it as a package: gradflow audit -m {path.name}" if (path / "__main__.py").exists() else f"expected {FORMS}"
        raise TargetError(f"`{place}` is a directory; {inside}")
    if not path.is_file():
        raise TargetError(f"no such file: `{place}`{_nearest(path)}")


def relative_posix(path: str, folder: str = "") -> str:
    """`path` with forward slashes, relative to `folder` (default: the working directory) where it lies below it."""
    if not path:
        return ""
    here = folder or os.getcwd()
    whole = os.path.abspath(os.path.join(here, path))
    inside = os.path.relpath(whole, here) if whole.startswith(here.rstrip(os.sep) + os.sep) else whole
    return inside.replace(os.sep, "/")


def program_path() -> str:
    """PATH, and after it the directory of the running Python, where `torchrun` lies if the environment is not activated."""
    return os.pathsep.join(part for part in (os.environ.get("PATH", ""), os.path.dirname(sys.executable)) if part)


def file_of_command(words: Sequence[str]) -> str:
    """The first Python file among the words of a command, empty if there is none."""
    return next((word for word in words if word.endswith(".py") and os.path.isfile(word)), "")


def _parse_command(words: tuple[str, ...]) -> TargetSpec:
    if not words:
        raise UsageError("--: expected a command, as in `gradflow audit -- torchrun --nproc-per-node 2 train.py`; found nothing")
    if shutil.which(words[0], path=program_path()) is None:
        raise TargetError(f"no such program: `{words[0]}`; a script or a notebook stands without `--`, as in `gradflow audit train.py`")
    return TargetSpec(Form.COMMAND, words[0], arguments=words[1:])


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
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".py", ".ipynb")) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1) or [name for name in names if name == f"{path.name}.py"]
    return f"; there is `{(folder / near[0]).as_posix()}`" if near else ""
