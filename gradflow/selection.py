"""Which codes the user wants to hear of, and in which files. Pure: the same question for `audit` and for `lint`.

A selector is a code or the beginning of one (`GF101`, `GF1`, `GF`). As in ruff, the longer selector wins: `ignore = ["GF1"]` beside
`select = ["GF101"]` leaves GF101 in; of equal length, `ignore` wins.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from gradflow.errors import UsageError

EVERYTHING = ("GF",)
_SELECTOR = re.compile(r"GF\d{0,3}")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected and what is ignored; `per_file` holds (pattern, selectors), to be ignored besides in the files that match.

    A pattern is a glob (`*` crosses slashes) on the path relative to `root`, or on the file's name alone where it has no slash. `root`
    (the folder of the settings) and `working` (the directory that reported paths are relative to) are absolute posix paths; where both
    are empty, patterns are matched with the paths as they are reported.
    """

    select: tuple[str, ...] = EVERYTHING
    ignore: tuple[str, ...] = ()
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()
    root: str = ""
    working: str = ""

    def keeps(self, code: str, file: str = "") -> bool:
        """Whether a finding of `code` in `file` is wanted; `file` as it is reported, empty where the place is not known.

        >>> Selection(ignore=("GF1",), per_file=(("tests/*", ("GF3",)),)).keeps("GF301", "tests/train.py")
        False
        """
        ignored = list(self.ignore)
        if file and self.per_file:
            path = self._relative(file)
            ignored += [entry for pattern, entries in self.per_file if _matches(path, pattern) for entry in entries]
        return _longest(self.select, code) > _longest(ignored, code)

    def overridden(self, select: Sequence[str], ignore: Sequence[str]) -> Selection:
        """The same with what the command line says in place of `select` and of `ignore`, each where it says anything."""
        return replace(self, select=tuple(select) or self.select, ignore=tuple(ignore) or self.ignore)

    def _relative(self, file: str) -> str:
        path = posixpath.normpath(posixpath.join(self.working, file))
        return path[len(self.root) :].lstrip("/") if self.root and path.startswith(self.root.rstrip("/") + "/") else path


def read_selectors(entries: Iterable[str], where: str) -> tuple[str, ...]:
    """The selectors in `entries`, each of which may hold several with commas between; `where` names them in errors.

    Raises:
        UsageError: an entry is no code and no beginning of one.
    """
    found = [part.strip() for entry in entries for part in entry.split(",") if part.strip()]
    for part in found:
        if not _SELECTOR.fullmatch(part):
            raise UsageError(f"{where}: expected a code or the beginning of one, as GF101 or GF1, found {part!r}")
    return tuple(found)


def require_known(selectors: Iterable[str], codes: Sequence[str], where: str) -> None:
    """Returns if each selector stands for at least one of `codes`; `where` names them in errors.

    Raises:
        UsageError: naming one that stands for none, and the code that is most like it.
    """
    for selector in selectors:
        if not any(code.startswith(selector) for code in codes):
            near = min(codes, key=lambda code: (-len(posixpath.commonprefix([code, selector])), abs(_number(code) - _number(selector))))
            raise UsageError(f"{where}: there is no check {selector}; the nearest is {near}, and `gradflow explain` lists all of them")


def _number(code: str) -> int:
    return int(code[2:].ljust(3, "0"))


def _longest(selectors: Iterable[str], code: str) -> int:
    """The length of the longest selector that stands for `code`, -1 where none does."""
    return max((len(selector) for selector in selectors if code.startswith(selector)), default=-1)


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path if "/" in pattern else posixpath.basename(path), pattern)
