"""Results of earlier runs, by the content of a file and of all that were opened for it. A change in gradflow's own code voids them."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gradflow.document import from_document, to_document
from gradflow.errors import UsageError
from gradflow.graph.target import Target, TargetKind
from gradflow.report import Outcome, Report
from gradflow.static.names import candidates
from gradflow.static.rules.base import Draft

MOST_CACHES = 4
"""Files of earlier versions or other folders that are kept beside the one in use."""


class Imports(NamedTuple):
    """What the names of one file led to: the files that were opened, and places (without a suffix) where nothing was."""

    opened: frozenset[str] | set[str] = frozenset()
    missing: frozenset[str] | set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one file. `given_up`: its classes that took too long to be followed; `hurried`: by the clock, and not by steps."""

    drafts: tuple[Draft, ...] = ()
    given_up: tuple[str, ...] = ()
    hurried: bool = False


@dataclass(slots=True)
class Cache:
    """The entries of one cache file. `place` is empty where nothing is to be kept.

    `entries`: by path, what was found in a file; `imports`: by path, the content of a file that was looked into and what it imports.
    """

    place: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    imports: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: bool = False
    _hashes: dict[str, str] = field(default_factory=dict)

    def lookup(self, path: str) -> Result | None:
        """The result for a file with that content, None where it, or a file that it builds on, has to be read anew."""
        entry = self.entries.get(path)
        if entry is None or entry["content"] != self._hash(path):
            return None
        try:
            findings = from_document(entry["report"]).findings if entry["report"] else ()
        except (UsageError, KeyError, TypeError):
            return None
        drafts = tuple(Draft(finding, word) for finding, word in zip(findings, entry["words"], strict=True))
        return Result(drafts, tuple(entry["given_up"]))

    def see(self, files: Iterable[tuple[Path, bytes]]) -> None:
        """Notes the content of the files that are asked for, and forgets all results that rest on something which has changed."""
        if not self.place:
            return
        self._hashes.update((str(path), _digest(data)) for path, data in files)
        for path in self._find_stale():
            self.changed = self.entries.pop(path, None) is not None or self.changed

    def store(self, path: str, result: Result) -> None:
        """Keeps a result, unless another run may have the time for more."""
        if not self.place or result.hurried:
            return
        self.changed = True
        report = Report(Outcome.CLEAN, Target(TargetKind.SOURCE, path, ""), findings=tuple(draft.finding for draft in result.drafts))
        self.entries[path] = {
            "content": self._hash(path),
            "report": to_document(report) if result.drafts else None,
            "words": [draft.unless_read for draft in result.drafts],
            "given_up": list(result.given_up),
        }

    def store_imports(self, imports: Mapping[str, Imports]) -> None:
        """Keeps what files import."""
        if not self.place:
            return
        for path, (opened, missing) in imports.items():
            # Not sorted, and only where there is something: thousands of files import nothing of their package.
            self.imports[path] = {"content": self._hash(path), "opened": list(opened), "missing": list(missing)}

    def _find_stale(self) -> set[str]:
        """The files that have changed, and all that lead to them."""
        gone = {place for entry in self.imports.values() for place in entry["missing"]}
        there = {place for place in gone if any(os.path.exists(path) for path in candidates(place))}
        changed = {
            path
            for path, entry in self.imports.items()
            if entry["content"] != self._hash(path) or (there and not there.isdisjoint(entry["missing"]))
        }
        importers: dict[str, list[str]] = {}
        for path, entry in self.imports.items():
            for other in entry["opened"]:
                importers.setdefault(other, []).append(path)
        todo = list(changed)
        while todo:
            fresh = [path for path in importers.get(todo.pop(), ()) if path not in changed]
            changed.update(fresh)
            todo += fresh
        return changed

    def save(self) -> None:
        """Writes the entries, in one step; where the folder cannot be written, nothing is kept."""
        if not self.place or not self.changed:
            return
        folder = Path(self.place).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", "utf-8")
            part = f"{self.place}.{os.getpid()}"
            Path(part).write_text(json.dumps({"files": self.entries, "imports": self.imports}), "utf-8")
            os.replace(part, self.place)
            others = sorted(folder.glob("lint-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in others[MOST_CACHES:]:
                path.unlink()
        except OSError:
            return

    def _hash(self, path: str) -> str:
        if path not in self._hashes:
            try:
                self._hashes[path] = _digest(Path(path).read_bytes())
            except OSError:
                self._hashes[path] = ""
        return self._hashes[path]


def open_cache(folder: str) -> Cache:
    """The cache in `folder`, empty where there is none yet or it cannot be read; with an empty `folder` one that keeps nothing."""
    if not folder:
        return Cache()
    name = hashlib.sha256("\0".join([own_code(), os.getcwd(), sys.version]).encode()).hexdigest()[:16]
    place = os.path.join(folder, f"lint-{name}.json")
    try:
        known = json.loads(Path(place).read_text("utf-8"))
        return Cache(place, known["files"], known["imports"])
    except (OSError, ValueError, KeyError, TypeError):
        return Cache(place)


@cache
def own_code() -> str:
    """A digest of the code that makes the results."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(
        [*folder.rglob("*.py"), folder.parent / "cures.py", folder.parent / "report.py", folder.parent / "document" / "__init__.py"]
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
