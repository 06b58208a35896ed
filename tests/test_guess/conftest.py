"""A model file as a module, written for one test: the rules read its source and the frames of its errors, so it has to be a real file."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from model_files import HEADER, Load


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """`load(text, name)`: the module of a file with that text, behind the usual imports."""
    names = []

    def made(text: str, name: str = "model_file") -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(HEADER + textwrap.dedent(text), "utf-8")
        spec = importlib.util.spec_from_file_location(f"guessed_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        names.append(spec.name)
        spec.loader.exec_module(module)
        return module

    yield made
    for name in names:
        sys.modules.pop(name, None)
