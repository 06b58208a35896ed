"""The files of a directory that may hold a model. Reads them, runs nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages", "dist-packages", "venv", "env", "build", "dist", "tests", "test"}
_SKIPPED_FILES = re.compile(r"(test_.*|.*_test|conftest|setup|__init__|__main__|noxfile|tasks)\.py$")
_HAS_A_MODEL = re.compile(rb"\bclass\b.*(Module|Model)\b|\.backward\(")


def model_files(folder: str) -> list[str]:
    """Paths of the Python files below `folder` that define or train a model, as far as their text tells, in order.

    Tests, packages' `__init__` and hidden folders are left out.
    """
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS and not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.endswith(".py") and not _SKIPPED_FILES.match(name) and _HAS_A_MODEL.search(_bytes_of(path)):
                found.append(Path(path).as_posix())
    return found


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
