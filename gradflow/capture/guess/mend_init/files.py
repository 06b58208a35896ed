"""An argument is the path of a file that describes the model: one of the project's, as `cfg/yolov3-tiny.cfg` or `models/net.yaml`."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject, parameters_of

_NO_FILE = re.compile(r"os\.PathLike|file not found|no such file|is a directory|does not exist|codec can't decode", re.IGNORECASE)
_PATH = re.compile(r"path|file|cfg|conf|yaml|json", re.IGNORECASE)
_FOLDERS = ("cfg", "cfgs", "config", "configs", "conf", "models")
_KINDS = (".cfg", ".yaml", ".yml", ".json")
_LEVELS, _LARGEST, _MOST = 4, 200_000, 4
_SMALL = re.compile(r"tiny|small|nano|mini|base")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument that is called like a path, or that the error blames, with the files that may be meant."""
    if not isinstance(failure.error, (FileNotFoundError, IsADirectoryError)) and not _NO_FILE.search(failure.message):
        return
    given = construction.given()
    names = [name for name in given if "." not in name and _PATH.search(name)]
    names += [name for name in blamed_arguments(construction, failure) if name in parameters_of(subject.scope.get(construction.callee))]
    for name in dict.fromkeys(names):
        wanted = literal(given[name])
        for path in _files(
            getattr(sys.modules.get(subject.cls.__module__), "__file__", None) or "", wanted if isinstance(wanted, str) else ""
        ):
            if repr(path) != given[name]:
                yield construction.with_argument(name, repr(path))


@functools.lru_cache(maxsize=16)
def _files(module: str, wanted: str) -> tuple[str, ...]:
    """The files of sizes near the module: that name first, then its kind, then what is called small, then the shortest."""
    if not module:
        return ()
    found: list[Path] = []
    folders = list(Path(module).resolve().parents)[:_LEVELS]
    for folder in folders:
        places = [folder, *(place for name in _FOLDERS if (place := folder / name).is_dir())]
        found += [path for place in places for path in sorted(place.glob("*") if place == folder else place.rglob("*")) if _describes(path)]
        if found or any((folder / mark).exists() for mark in (".git", "setup.py", "pyproject.toml")):
            break
    kind = Path(wanted).suffix
    found.sort(key=lambda path: (path.name != Path(wanted).name, path.suffix != kind, not _SMALL.search(path.name), path.stat().st_size))
    return tuple(_from_here(path) for path in dict.fromkeys(found))[:_MOST]


def _from_here(path: Path) -> str:
    """The path from the working directory where it lies below it, so that what is printed holds elsewhere too."""
    here = Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


def _describes(path: Path) -> bool:
    return (
        path.suffix in _KINDS
        and path.is_file()
        and 0 < path.stat().st_size < _LARGEST
        and not path.name.startswith((".", "package", "tsconfig"))
    )
