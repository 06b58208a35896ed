"""The modules that hold parameters, as a tree in which equal siblings are one. Which of them are opened is decided here as well.

Paths are those of the flow graph (`blocks.2.attn`, `hidden[0]`). A canonical path names the first of a run of equal siblings for all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gradflow.report import ParameterRow

SMALL = 12
"""A model with no more modules that hold parameters is shown with all of them open."""


@dataclass(slots=True)
class Branch:
    """One module: children by name, parameters of its own (their numbers in the report), and all parameters at or below it."""

    path: str
    kind: str = ""
    children: dict[str, Branch] = field(default_factory=dict)
    own: list[int] = field(default_factory=list)
    all: list[int] = field(default_factory=list)
    marks: list[tuple[str, object]] = field(default_factory=list)
    """(path, mark) of what else lies at or below it and makes it unlike its siblings: the places of cuts."""


class ModuleTree:
    """The tree over `rows`. `kinds` gives the class of modules that hold no parameters themselves; `marks` are cuts by module path."""

    def __init__(self, rows: tuple[ParameterRow, ...], kinds: Mapping[str, str], marks: Iterable[tuple[str, object]] = ()) -> None:
        self.rows = rows
        self.root = Branch("")
        self._first_of: dict[str, str] = {}
        self._run_of: dict[str, tuple[str, ...]] = {}
        self._branches: dict[str, Branch] = {"": self.root}
        self._canonical: dict[str, str] = {}
        for number, row in enumerate(rows):
            self._add_parameter(number, row)
        for path, mark in marks:
            for branch in self._down_to(path):
                branch.marks.append((path, mark))
        for path, branch in self._branches.items():
            branch.kind = branch.kind or kinds.get(path, "")
        self._fold()

    def branch(self, path: str) -> Branch | None:
        """The module at `path`, None where it holds no parameter."""
        return self._branches.get(path)

    def canonical(self, path: str) -> str:
        """`path` with the first of a run of equal siblings in place of each of them."""
        if path not in self._canonical:
            whole = ""
            for part in path.split(".") if path else ():
                whole = joined(whole, part)
                whole = self._first_of.get(whole, whole)
            self._canonical[path] = whole
        return self._canonical[path]

    def run(self, path: str) -> tuple[str, ...]:
        """The paths of the equal siblings for which the canonical `path` stands, itself first."""
        return self._run_of.get(path, (path,))

    def folded(self) -> dict[str, str]:
        """By path, the first of the run of equal siblings that stands for it; those that stand for themselves are left out."""
        return dict(self._first_of)

    def openable(self) -> list[str]:
        """The canonical paths of modules that hold other modules, the outermost first."""
        found = [path for path, branch in self._branches.items() if path and branch.children and self.canonical(path) == path]
        return sorted(found, key=self.depth_of)

    def shown(self, path: str) -> list[str]:
        """The canonical paths of the children of the module at `path`, equal siblings once."""
        branch = self._branches[path]
        return [child.path for child in branch.children.values() if child.path not in self._first_of]

    def members(self) -> dict[str, list[int]]:
        """By canonical path, the numbers of all parameters for which it stands, those of folded siblings included."""
        found: dict[str, list[int]] = {}
        for number in self.root.all:
            for path in ancestors(self.canonical(self._owner(number))):
                found.setdefault(path, []).append(number)
        return found

    def kind(self, path: str) -> str:
        """The class of the module at `path`; those of its children (`BasicBlock ×3`) where its own is not known; empty where none is."""
        branch = self._branches.get(path)
        if branch is None or branch.kind:
            return branch.kind if branch else ""
        counts = Counter(child.kind for child in branch.children.values() if child.kind)
        if sum(counts.values()) < len(branch.children):
            return ""  # of a module that only calls others nothing tells the class, and a number would be wrong
        return ", ".join(kind + (f" ×{count}" if count > 1 else "") for kind, count in counts.items()) if len(counts) <= 2 else ""

    def owner(self, number: int) -> str:
        """The canonical path of the module that holds parameter `number`."""
        return self.canonical(self._owner(number))

    def depth_of(self, path: str) -> int:
        """How many modules stand round the one at `path`."""
        return path.count(".") + 1 if path else 0

    def open_to_depth(self, depth: int) -> set[str]:
        """The modules to open so that all down to `depth` are shown."""
        return {path for path in self.openable() if self.depth_of(path) < depth} | {""}

    def focus(self, cuts: Iterable[str]) -> set[str]:
        """The modules to open by default: all of a small model, else those round the modules in `cuts`, and the first level."""
        holders = [path for path, branch in self._branches.items() if branch.own and self.canonical(path) == path]
        opened = {""}
        if len(holders) <= SMALL:
            opened |= {path for path in self._branches if self._opens_alone(path)}
        for cut in cuts:
            opened.update(ancestors(self.canonical(cut)))
        path = ""
        while len(self.shown(path)) == 1 and not self._branches[path].own:
            path = self.shown(path)[0]
            if not self._branches[path].children:
                break
            opened.add(path)
        return opened

    def _opens_alone(self, path: str) -> bool:
        """Whether opening the module at `path` shows modules, and each once: nothing at or round it is folded.

        One that holds parameters beside modules stays closed: it is a layer (attention, an adapter) more often than a stage.
        """
        branch = self._branches[path]
        if not branch.children or (branch.own and path):
            return False
        return all(self.canonical(one) == one and len(self.run(one)) == 1 for one in ancestors(path))

    def _owner(self, number: int) -> str:
        row = self.rows[number]
        return row.owner or row.name.rpartition(".")[0]

    def _add_parameter(self, number: int, row: ParameterRow) -> None:
        branch = self.root
        branch.all.append(number)
        for branch in self._down_to(self._owner(number)):
            branch.all.append(number)
        branch.own.append(number)
        branch.kind = branch.kind or row.owner_class

    def _down_to(self, path: str) -> Iterator[Branch]:
        """The modules on the way to `path`, made where they are new."""
        branch = self.root
        for part in path.split(".") if path else ():
            whole = joined(branch.path, part)
            if part not in branch.children:
                branch.children[part] = self._branches[whole] = Branch(whole)
            branch = branch.children[part]
            yield branch

    def _fold(self) -> None:
        signatures: dict[str, int] = {}
        numbers: dict[object, int] = {}
        # Children have longer paths than their parents, so a signature is built out of those that are there.
        for path in sorted(self._branches, key=self.depth_of, reverse=True):
            # A number stands for all that look the same, so that comparing is cheap however deep the tree is.
            signatures[path] = numbers.setdefault(self._look(self._branches[path], signatures), len(numbers))
        for branch in self._branches.values():
            for run in _runs(branch, signatures):
                for other in run[1:]:
                    self._first_of[other] = run[0]
                if len(run) > 1:
                    self._run_of[run[0]] = tuple(run)

    def _look(self, branch: Branch, signatures: dict[str, int]) -> object:
        """Equal for modules that look the same: class, shapes, verdicts, cuts, and children of equal look."""
        own = tuple((row.name.rpartition(".")[2], row.shape, row.verdict) for row in (self.rows[number] for number in branch.own))
        below = tuple((name, signatures[child.path]) for name, child in branch.children.items())
        marks = tuple(sorted({str((path[len(branch.path) :], mark)) for path, mark in branch.marks}))
        return (branch.kind, own, below, marks)


def joined(path: str, part: str) -> str:
    """The path of the child `part` of the module at `path`."""
    return f"{path}.{part}" if path else part


def ancestors(path: str) -> list[str]:
    """The root, the modules round `path` from the outermost on, and `path` itself."""
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: depth + 1]) for depth in range(len(parts)))]


_NUMBERED = re.compile(r"(.*?)(\d+)(\]?)")


def _runs(branch: Branch, signatures: dict[str, int]) -> list[list[str]]:
    """The children in runs of equal neighbours, named by number (`3`, `hidden[3]`)."""
    runs: list[list[str]] = []
    stem_before: tuple[str, ...] = ()
    for name, child in branch.children.items():
        match = _NUMBERED.fullmatch(name)
        stem = (match.group(1), match.group(3)) if match and (not match.group(1) or match.group(3)) else (name, name)
        if runs and stem == stem_before and signatures[runs[-1][-1]] == signatures[child.path]:
            runs[-1].append(child.path)
        else:
            runs.append([child.path])
        stem_before = stem
    return runs
