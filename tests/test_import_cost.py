"""What is not imported: a shell completion, a `--help` or an `import gradflow` in a test collection must not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "networkx", "rich", "numpy"}

SHOW_MODULES = "import sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"


def modules_after(statement: str, folder: Path) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `statement`."""
    run = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{SHOW_MODULES}"], capture_output=True, text=True, cwd=folder, check=True, timeout=60
    )
    return set(run.stdout.splitlines()[-1].split())


def command(arguments: list[str]) -> str:
    """A statement that runs the command line in this process and goes on after its exit."""
    return f"from gradflow.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit:\n    pass"


def test_importing_gradflow_imports_nothing_heavy(tmp_path: Path) -> None:
    assert modules_after("import gradflow", tmp_path) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["audit", "--help"], ["--version"], ["explain", "GF101"]])
def test_help_and_explanations_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert modules_after(command(arguments), tmp_path) & HEAVY == set()


def test_the_report_types_import_nothing_heavy(tmp_path: Path) -> None:
    assert modules_after("from gradflow import Report, Finding, Severity, Verdict", tmp_path) & HEAVY == set()


def test_the_measurement_sees_a_heavy_import(tmp_path: Path) -> None:
    assert "networkx" in modules_after("import networkx", tmp_path)
