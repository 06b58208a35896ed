"""Files read by several processes at the same time; the results come in the order of the files, whoever made them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gradflow.static.analyse import analyse
from gradflow.static.cache import Imports, Result
from gradflow.static.classes import Hierarchy
from gradflow.static.files import shown_path
from gradflow.static.names import Module, Package
from gradflow.static.read import parse_source
from gradflow.static.relevance import Relevance

FEW = 48
"""So few files are read by one process: to start others would take longer."""
MOST_KEPT = 12_000_000
"""Characters of source whose syntax trees all processes together keep for those that import them: a tree takes 28 times its text."""
LEAST_KEPT = 3_000_000


class Read(NamedTuple):
    """The results of files in their order, and of every file that was looked into what it imports."""

    results: list[Result]
    imports: dict[str, Imports]


class Reader:
    """Reads files one after the other, and keeps what it parsed for those that import it."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._most_kept = most_kept
        self._relevance = _relevance()
        self.imports: dict[str, Imports] = {}

    def read(self, path: Path, data: bytes) -> Result:
        """What is found in the file at `path` with the content `data`."""
        module: Module | None = self._package.kept(str(path))
        source = module.complete() if module is not None else parse_source(data, str(path), shown_path(path))
        self._relevance.given_up.clear()
        self._relevance.hurried = False
        drafts = tuple(analyse(source, self._relevance))
        return Result(drafts, tuple(self._relevance.given_up), self._relevance.hurried)

    def read_all(self, files: Sequence[tuple[Path, bytes]]) -> Read:
        """What is found in all of these files."""
        results: list[Result] = []
        with _no_collection():
            for path, data in files:
                if self._package.size > self._most_kept:
                    self._start_anew()
                results.append(self.read(path, data))
        self.file_imports()
        return Read(results, self.imports)

    def _start_anew(self) -> None:
        """Lets go of what was parsed, but for the files that most others import: those that come next will import them too."""
        self.file_imports()
        kept = self._package.forget(self._most_kept // 3)
        self._relevance = _relevance()
        for source in kept:
            self._package.add(source)

    @property
    def _package(self) -> Package:
        return self._relevance.hierarchy.package

    def forget(self) -> None:
        """Lets go of all that was parsed: sooner than Python would, which walks through all of it first."""
        self._package.forget(0)
        self._relevance = _relevance()

    def file_imports(self) -> None:
        """Notes what each file that was looked into imports."""
        for path, module in self._package.modules:
            opened, missing = self.imports.get(path, Imports())
            self.imports[path] = Imports(opened | module.opened - {path}, missing | module.missing) if module is not None else Imports()


def read_all(files: Sequence[tuple[Path, bytes]], jobs: int) -> Read:
    """What is found in `files`; `jobs` processes at most, 0: as many as the machine has processors."""
    jobs = min(jobs or os.cpu_count() or 1, 8, len(files) // (FEW // 2))
    if jobs <= 1:
        reader = Reader()
        read = reader.read_all(files)
        reader.forget()
        return read
    # Imported here: it costs a fifth of the time that one small file takes.
    from concurrent.futures import ProcessPoolExecutor

    # Neighbours import each other, so each process gets files that lie together.
    size = max(len(files) // (jobs * 4), 1)
    kept = max(MOST_KEPT // jobs, LEAST_KEPT)
    chunks = [(files[start : start + size], kept) for start in range(0, len(files), size)]
    results: list[Result] = []
    imports: dict[str, Imports] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for read in pool.map(_read_chunk, chunks):
            results += read.results
            for path, (opened, missing) in read.imports.items():
                known = imports.get(path, Imports())
                imports[path] = Imports(known.opened | opened, known.missing | missing)
    return Read(results, imports)


_READERS: list[Reader] = []


def _read_chunk(chunk: tuple[Sequence[tuple[Path, bytes]], int]) -> Read:
    files, kept = chunk
    if not _READERS:
        _READERS.append(Reader(kept))
    return _READERS[0].read_all(files)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's search for cycles stands still: going through all syntax trees again and again takes longer than parsing them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            _enable_collection()


def _enable_collection() -> None:
    """Goes on searching for cycles, without a first search through all that was made meanwhile: it counts as long known."""
    if gc.get_freeze_count():
        gc.enable()  # what the program itself has frozen has to stay so
        return
    gc.freeze()
    gc.enable()
    gc.unfreeze()


def _relevance() -> Relevance:
    return Relevance(Hierarchy(Package(shown_path)))
