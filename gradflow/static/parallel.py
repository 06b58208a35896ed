"""Files read by several processes at the same time; the results come in the order of the files, whoever made them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradflow.static.analyse import analyse
from gradflow.static.cache import Result
from gradflow.static.classes import Hierarchy
from gradflow.static.files import shown_path
from gradflow.static.names import Package
from gradflow.static.read import parse_source
from gradflow.static.relevance import Relevance

FEW = 48
"""So few files are read by one process: to start others would take longer."""
MOST_KEPT = 400
"""Parsed files that one process keeps for those that import them, before it begins anew."""


class Reader:
    """Reads files one after the other, and keeps what it parsed for those that import it."""

    def __init__(self) -> None:
        self._relevance = _relevance()

    def read(self, path: Path, data: bytes) -> Result:
        """What is found in the file at `path` with the content `data`."""
        package = self._relevance.hierarchy.package
        if package.size > MOST_KEPT:
            self._relevance = _relevance()
            package = self._relevance.hierarchy.package
        package.opened.clear()
        package.missing.clear()
        drafts = analyse(parse_source(data, str(path), shown_path(path)), self._relevance)
        return Result(tuple(drafts), tuple(sorted(package.opened)), tuple(sorted(package.missing)))


def read_all(files: Sequence[tuple[Path, bytes]], jobs: int) -> Iterator[Result]:
    """The results in the order of `files`; `jobs` processes at most, 0: as many as the machine has processors."""
    jobs = min(jobs or os.cpu_count() or 1, 8, len(files) // (FEW // 2))
    if jobs <= 1:
        reader = Reader()
        for path, data in files:
            yield reader.read(path, data)
        return
    # Imported here: it costs a fifth of the time that one small file takes.
    from concurrent.futures import ProcessPoolExecutor

    # Neighbours import each other, so each process gets files that lie together.
    size = max(len(files) // (jobs * 6), 1)
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    with ProcessPoolExecutor(jobs) as pool:
        for results in pool.map(_read_chunk, chunks):
            yield from results


_READERS: list[Reader] = []


def _read_chunk(files: Sequence[tuple[Path, bytes]]) -> list[Result]:
    if not _READERS:
        _READERS.append(Reader())
    return [_READERS[0].read(path, data) for path, data in files]


def _relevance() -> Relevance:
    return Relevance(Hierarchy(Package(shown_path)))
