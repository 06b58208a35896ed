"""What an audit costs before it measures anything: `python tests/bench/startup.py [ROUNDS]`. Prints a table, asserts nothing.

Wall and CPU seconds (children included) of whole processes, interleaved; the lowest of all rounds and the median. The last row is what the
audit of a sample costs beside the sample itself: two more interpreters, gradflow's own modules, the tracing of one step and the report.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "samples" / "freeze_no_grad.py"

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "gradflow --help": ["-m", "gradflow", "--help"],
    "python -c 'import torch'": ["-c", "import torch"],
    "python freeze_no_grad.py": [str(SAMPLE)],
    "gradflow audit freeze_no_grad.py": ["-m", "gradflow", "audit", str(SAMPLE)],
}


def cost(arguments: list[str]) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of one process and its children."""
    before = os.times()
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - started
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            seen[name].append(cost(arguments))
    print(f"{'seconds, ' + str(rounds) + ' rounds':<36}{'wall min':>10}{'median':>9}{'CPU min':>10}{'median':>9}")
    table = {name: [numbers for column in zip(*pairs, strict=True) for numbers in low_and_middle(column)] for name, pairs in seen.items()}
    for name, numbers in table.items():
        print(row(name, numbers))
    audited, plain = table["gradflow audit freeze_no_grad.py"], table["python freeze_no_grad.py"]
    print(row("the audit beside the program", [a - p for a, p in zip(audited, plain, strict=True)]))


def low_and_middle(numbers: tuple[float, ...]) -> tuple[float, float]:
    """The lowest and the median."""
    return min(numbers), statistics.median(numbers)


def row(name: str, numbers: list[float]) -> str:
    """One line: wall lowest, wall median, CPU lowest, CPU median."""
    return f"{name:<36}{numbers[0]:>10.3f}{numbers[1]:>9.3f}{numbers[2]:>10.3f}{numbers[3]:>9.3f}"


if __name__ == "__main__":
    main()
