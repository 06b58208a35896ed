"""Paths in, findings out: what is said of all files together. Reads files, writes only the cache."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradflow.report import Finding
from gradflow.static.cache import Result, open_cache
from gradflow.static.files import files_of, shown_path
from gradflow.static.parallel import Reader, read_all


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
    cache = open_cache(lookout.cache)
    contents, notes = _contents(files_of(paths, lookout.exclude))
    cache.see(contents)
    known = {path: cache.lookup(str(path)) for path, _ in contents}
    fresh = [(path, data) for path, data in contents if known[path] is None]
    results: dict[Path, Result] = {path: result for path, result in known.items() if result is not None}
    read = read_all(fresh, lookout.jobs)
    for (path, _), result in zip(fresh, read.results, strict=True):
        results[path] = result
        cache.store(str(path), result)
    cache.store_imports(read.imports)
    cache.save()
    kept = [
        draft.finding for path, _ in contents for draft in results[path].drafts if not _read_elsewhere(draft.unless_read, path, contents)
    ]
    notes += [_given_up(shown_path(path), results[path].given_up) for path, _ in contents if results[path].given_up]
    return Linted(tuple(_once(kept)), len(contents), tuple(notes))


def lint_text(data: bytes, name: str) -> Linted:
    """The findings in the bytes of one file, which is taken to stand at `name`."""
    result = Reader().read(Path(name).resolve(), data)
    return Linted(tuple(_once(draft.finding for draft in result.drafts)), 1)


def _given_up(path: str, classes: Sequence[str]) -> str:
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(classes))
    return f"`{path}`: {names} took too long to follow, so nothing is known of where gradients stop in there"


def _contents(files: Sequence[Path]) -> tuple[list[tuple[Path, bytes]], list[str]]:
    """The content of each file, and a note for each that cannot be opened."""
    contents, notes = [], []
    for path in files:
        try:
            contents.append((path, path.read_bytes()))
        except OSError as error:
            notes.append(f"`{path}` was not read: {error.strerror}")
    return contents, notes


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Each cause once: a base class says in every file that inherits from it what its own file says already."""
    seen: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        seen.setdefault(_place(finding), finding)
    return [seen[place] for place in sorted(seen)]


def _place(finding: Finding) -> tuple[str, int, int, str]:
    cause = finding.cause
    return (cause.file, cause.line, cause.column, finding.code) if cause is not None else ("", 0, 0, finding.code)


def _read_elsewhere(word: str, path: Path, contents: Sequence[tuple[Path, bytes]]) -> bool:
    """Whether another file has the word `word` in it."""
    if not word:
        return False
    plain = word.encode()
    pattern = re.compile(rb"\b" + re.escape(plain) + rb"\b")
    # To look for the bytes alone is a hundred times as fast, and they are in few files.
    return any(plain in data and pattern.search(data) for other, data in contents if other != path)
