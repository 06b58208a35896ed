"""Finds what a file imports from its project where Python, run on the file alone, would not: a last resort, asked when all else failed.

`models/net.py` that says `import layers.attention` was written to be run from the directory above. Nothing that can be found otherwise is
found differently.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "environment.yml")
_TEXTS = ("README.md", "README.rst")
"""A root has one, and so may any directory below it."""
_MOST_LEVELS = 4


class ProjectFinder(importlib.abc.MetaPathFinder):
    """Looks for a top-level module in the directories above a file, up to the root of its project."""

    def __init__(self, file: Path) -> None:
        self.folders = [str(folder) for folder in directories_above(file)]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec there; None for a submodule, and for what is there in no directory."""
        if path is not None or "." in fullname:
            return None
        for folder in self.folders:
            base = Path(folder, fullname)
            # an empty directory of that name (`data`, `wandb`) is no package that was meant
            if base.with_suffix(".py").is_file() or any(base.glob("*.py")) or any(base.glob("*/__init__.py")):
                return importlib.machinery.PathFinder.find_spec(fullname, [folder])
        return None


def directories_above(file: Path) -> list[Path]:
    """The directories above that of the file, the nearest first, up to one that looks like a project's root; none without such a one."""
    above: list[Path] = []
    folder = file.parent
    for _ in range(_MOST_LEVELS):
        if _has(folder, _ROOT_MARKS) or (_has(folder, _TEXTS) and not _has(folder.parent, (*_ROOT_MARKS, *_TEXTS))):
            return above
        folder = folder.parent
        above.append(folder)
    return []


def _has(folder: Path, marks: Sequence[str]) -> bool:
    return any((folder / mark).exists() for mark in marks)


def find_in_project(file: str) -> None:
    """Lets imports reach the project of `file` from now on. PYTHONSAFEPATH, which forbids that, is obeyed."""
    finder = ProjectFinder(Path(file))
    if finder.folders and not getattr(sys.flags, "safe_path", False):
        sys.meta_path.append(finder)
