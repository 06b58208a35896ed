"""Which files are read: those that are named, and those below folders, without what git ignores, stubs and what the user excludes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from gradflow.errors import TargetError

SUFFIXES = (".py", ".ipynb")
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache",
     ".ipynb_checkpoints", ".eggs", "build", "dist", "site-packages", ".gradflow_cache"}
)  # fmt: skip


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


def shown_path(path: Path) -> str:
    """Posix, and relative to the working directory where it lies below it."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def _excluded(shown: str, exclude: Sequence[str]) -> bool:
    parts = shown.split("/")
    return any(fnmatchcase(shown, pattern) or pattern.rstrip("/") in parts for pattern in exclude)


def _below(folder: Path) -> list[Path]:
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        files += [Path(place, name) for name in names if name.endswith(SUFFIXES)]
    known = _known_to_git(folder) if files else None
    # A folder that git ignores as a whole was named on purpose.
    return [path for path in files if path in known] if known else files


def _known_to_git(folder: Path) -> set[Path] | None:
    """The files below `folder` that git does not ignore, None where there is no git or no repository."""
    # Imported here: one file alone needs no git, and this would be a tenth of what reading it takes.
    import subprocess

    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if run.returncode:
        return None
    return {folder / os.fsdecode(name) for name in run.stdout.split(b"\0") if name}
