"""Paths in, findings out: which files are read, and what is said of all of them together. Reads files, writes only the cache."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradflow.errors import TargetError, UsageError
from gradflow.report import Finding
from gradflow.static.analyse import analyse
from gradflow.static.classes import Hierarchy
from gradflow.static.names import Package
from gradflow.static.read import parse_source
from gradflow.static.rules.base import Draft
from gradflow.static.suppress import chosen, suppressed

SUFFIXES = (".py", ".ipynb")
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints",
     ".eggs", "build", "dist", "site-packages", ".gradflow_cache"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Linted:
    """The findings, sorted by place, and how many files were read."""

    findings: tuple[Finding, ...]
    files: int
    notes: tuple[str, ...] = ()


def lint_paths(paths: Sequence[str | Path], *, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Linted:
    """The findings in `paths`: files, and folders with all the Python files and notebooks below them.

    Raises:
        TargetError: where a path does not exist.
    """
    _check_codes([*select, *ignore])
    files = files_of(paths)
    package = Package(shown_path)
    hierarchy = Hierarchy(package)
    drafts: list[tuple[Path, Draft]] = []
    texts: dict[Path, str] = {}
    for path in files:
        source = parse_source(path.read_bytes(), str(path), shown_path(path))
        texts[path] = source.text
        drafts += [(path, draft) for draft in analyse(source, package, hierarchy)]
    kept = [draft.finding for path, draft in drafts if not suppressed(draft.finding, texts[path]) and not _read_elsewhere(draft, path, texts)]
    return Linted(tuple(finding for finding in kept if chosen(finding, tuple(select), tuple(ignore))), len(files))


def _check_codes(codes: Sequence[str]) -> None:
    for code in codes:
        if not re.fullmatch(r"GF\d{0,3}", code):
            raise UsageError(f"expected codes such as GF101 or GF1, found {code!r}")


def _read_elsewhere(draft: Draft, path: Path, texts: dict[Path, str]) -> bool:
    if not draft.unless_read:
        return False
    word = re.compile(rf"\b{re.escape(draft.unless_read)}\b")
    return any(word.search(text) for other, text in texts.items() if other != path)


def files_of(paths: Iterable[str | Path]) -> list[Path]:
    """The files to read, each once, sorted. A file that is named is read whatever its suffix; stubs (`.pyi`) never."""
    found: dict[Path, None] = {}
    for entry in paths:
        path = Path(entry)
        if path.is_dir():
            found.update(dict.fromkeys(_below(path.resolve())))
        elif path.is_file():
            found[path.resolve()] = None
        else:
            raise TargetError(f"`{entry}` does not exist")
    return sorted(path for path in found if path.suffix != ".pyi")


def _below(folder: Path) -> list[Path]:
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        files += [Path(place, name) for name in names if name.endswith(SUFFIXES)]
    return files


def shown_path(path: Path) -> str:
    """Posix, and relative to the working directory where it lies below it."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()
