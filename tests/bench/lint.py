"""CPU time of `lint` beside `ast.parse` and torchfix: `python tests/bench/lint.py FOLDER [A_PYTHON_THAT_HAS_TORCHFIX_AND_FLAKE8]`.

Every row is the user and system time of child processes of their own, so that none profits from what another has read; the shares of a
shared machine move by some ten per cent. Nothing is asserted.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARSE = """
import ast, sys
from pathlib import Path
from gradflow.static.files import files_of
for path in files_of([sys.argv[1]]):
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        pass
"""
SMALL = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
SMALL += (
    "        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)\n\n    def forward(self, x):\n        return self.b(self.a(x).detach())\n"
)


def measure(command: list[str], folder: str) -> tuple[float, float, float]:
    """(CPU seconds, seconds, the largest process in MB) of a command, its own children included."""
    # With bytecode at hand, as an installed package has it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = os.path.join(tempfile.gettempdir(), "gradflow-bench")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start, after.ru_maxrss / 1024


def main(tree: str, other: str = "") -> None:
    """Prints the table."""
    tree = os.path.abspath(tree)
    lint = [sys.executable, "-m", "gradflow", "lint", "--fail-on", "never"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "small.py").write_text(SMALL, "utf-8")
        rows = {
            "one small file, cold": [*lint, "--no-cache", "small.py"],
            "ast.parse": [sys.executable, "-c", PARSE, tree],
            "lint, one process, no cache": [*lint, "--no-cache", "--jobs", "1", tree],
            "lint, two processes, no cache": [*lint, "--no-cache", "--jobs", "2", tree],
            "lint, cold": [*lint, tree],
            "lint, cached": [*lint, tree],
        }
        if other:
            rows["torchfix"] = [other, "-m", "flake8", "--isolated", "--select", "TOR", "-j", "1", tree]
        measure(rows["one small file, cold"], folder)
        parsing = 0.0
        print(f"{'':30} {'CPU s':>8} {'times ast.parse':>16} {'s':>8} {'largest MB so far':>18}")
        for name, command in rows.items():
            cpu, wall, memory = measure(command, folder)
            parsing = cpu if name == "ast.parse" else parsing
            times = f"{cpu / parsing:.1f}" if parsing else ""
            print(f"{name:30} {cpu:8.2f} {times:>16} {wall:8.2f} {memory:18.0f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
