"""Results of earlier runs, by the content of a file and of all that were opened for it. A change in gradflow's own code voids them."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gradflow.document import from_document, to_document
from gradflow.errors import UsageError
from gradflow.graph.recording import Target, TargetKind
from gradflow.report import Outcome, Report
from gradflow.static.rules.base import Draft

MOST_CACHES = 4
"""Files of earlier versions or other folders that are kept beside the one in use."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one file: the drafts, the files that were opened for it, and the paths that led nowhere."""

    drafts: tuple[Draft, ...] = ()
    opened: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Cache:
    """The entries of one cache file. `place` is empty where nothing is to be kept."""

    place: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: bool = False
    _hashes: dict[str, str] = field(default_factory=dict)

    def lookup(self, path: str, data: bytes) -> Result | None:
        """The result for a file with that content, None where it has to be read anew."""
        entry = self.entries.get(path)
        self._hashes[path] = digest = _digest(data)
        if entry is None or entry["content"] != digest:
            return None
        if any(self._hash(other) != known for other, known in entry["opened"].items()):
            return None
        if any(os.path.exists(other) for other in entry["missing"]):
            return None
        try:
            findings = from_document(entry["report"]).findings if entry["report"] else ()
        except (UsageError, KeyError, TypeError):
            return None
        drafts = tuple(Draft(finding, word) for finding, word in zip(findings, entry["words"], strict=True))
        return Result(drafts, tuple(entry["opened"]), tuple(entry["missing"]))

    def store(self, path: str, data: bytes, result: Result) -> None:
        """Keeps a result."""
        if not self.place:
            return
        self.changed = True
        report = Report(Outcome.CLEAN, Target(TargetKind.SOURCE, path, ""), findings=tuple(draft.finding for draft in result.drafts))
        self.entries[path] = {
            "content": _digest(data),
            "opened": {other: self._hash(other) for other in result.opened if other != path},
            "missing": list(result.missing),
            "report": to_document(report) if result.drafts else None,
            "words": [draft.unless_read for draft in result.drafts],
        }

    def save(self) -> None:
        """Writes the entries, in one step; where the folder cannot be written, nothing is kept."""
        if not self.place or not self.changed:
            return
        folder = Path(self.place).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", "utf-8")
            part = f"{self.place}.{os.getpid()}"
            Path(part).write_text(json.dumps(self.entries), "utf-8")
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
        entries = json.loads(Path(place).read_text("utf-8"))
    except (OSError, ValueError):
        entries = {}
    return Cache(place, entries if isinstance(entries, dict) else {})


@cache
def own_code() -> str:
    """A digest of the code that makes the results."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted([*folder.rglob("*.py"), folder.parent / "report.py", folder.parent / "document" / "__init__.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
