"""Paths in, findings out: which files are read, and what is said of all of them together. Reads files, writes only the cache."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gradflow.errors import TargetError
from gradflow.report import Finding
from gradflow.static.analyse import analyse
from gradflow.static.classes import Hierarchy
from gradflow.static.names import Package
from gradflow.static.read import parse_source
from gradflow.static.relevance import Relevance
from gradflow.static.rules.base import Draft

SUFFIXES = (".py", ".ipynb")
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache",
     ".ipynb_checkpoints", ".eggs", "build", "dist", "site-packages", ".gradflow_cache"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lookout:
    """How files are looked for and read.

    `exclude`: globs of paths to pass over; `cache`: a folder for results, empty: none; `jobs`: how many processes read at the same time,
    0: as many as the machine has processors.
    """

    exclude: tuple[str, ...] = ()
    cache: str = ""
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class Linted:
    """The findings, sorted by place, and how many files were read."""

    findings: tuple[Finding, ...]
    files: int
    notes: tuple[str, ...] = ()


def lint_paths(paths: Sequence[str | Path], lookout: Lookout) -> Linted:
    """The findings in `paths`: files, and folders with all the Python files and notebooks below them.

    Raises:
        TargetError: where a path does not exist.
    """
    files = files_of(paths, lookout.exclude)
    relevance = Relevance(Hierarchy(Package(shown_path)))
    drafts: list[tuple[Path, Draft]] = []
    texts: dict[Path, str] = {}
    for path in files:
        source = parse_source(path.read_bytes(), str(path), shown_path(path))
        texts[path] = source.text
        drafts += [(path, draft) for draft in analyse(source, relevance)]
    kept = [draft.finding for path, draft in drafts if not _read_elsewhere(draft, path, texts)]
    return Linted(tuple(_once(kept)), len(files))


def lint_text(data: bytes, name: str) -> Linted:
    """The findings in the bytes of one file, which is taken to stand at `name`."""
    path = Path(name).resolve()
    relevance = Relevance(Hierarchy(Package(shown_path)))
    drafts = analyse(parse_source(data, str(path), shown_path(path)), relevance)
    return Linted(tuple(_once(draft.finding for draft in drafts)), 1)


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Each cause once: a base class says in every file that inherits from it what its own file says already."""
    seen: dict[tuple[str, object], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.code, finding.cause and (finding.cause.file, finding.cause.line, finding.cause.column)), finding)
    return sorted(seen.values(), key=lambda finding: _place(finding))


def _place(finding: Finding) -> tuple[str, int, int, str]:
    cause = finding.cause
    return (cause.file, cause.line, cause.column, finding.code) if cause is not None else ("", 0, 0, finding.code)


def _read_elsewhere(draft: Draft, path: Path, texts: dict[Path, str]) -> bool:
    if not draft.unless_read:
        return False
    word = re.compile(rf"\b{re.escape(draft.unless_read)}\b")
    return any(word.search(text) for other, text in texts.items() if other != path)


def files_of(paths: Iterable[str | Path], exclude: Sequence[str] = ()) -> list[Path]:
    """The files to read, each once, sorted. A file that is named is read whatever its suffix; stubs (`.pyi`) never.

    Raises:
        TargetError: where a path does not exist.
    """
    found: dict[Path, None] = {}
    for entry in paths:
        path = Path(entry)
        if path.is_dir():
            found.update(dict.fromkeys(_below(path.resolve())))
        elif path.is_file():
            found[path.resolve()] = None
        else:
            raise TargetError(f"`{entry}` does not exist")
    return sorted(path for path in found if path.suffix != ".pyi" and not _excluded(shown_path(path), exclude))


def _excluded(shown: str, exclude: Sequence[str]) -> bool:
    parts = shown.split("/")
    return any(fnmatchcase(shown, pattern) or pattern.rstrip("/") in parts for pattern in exclude)


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
