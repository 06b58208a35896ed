"""What an audit of a model costs that fits no machine: `python tests/bench/giants [WORD ...]`. Prints a table, asserts nothing.

Each row is one whole `gradflow audit ... --svg FILE`, with fake tensors chosen by itself: CPU seconds of all its processes together, and
the peak resident memory of the largest. The cut that is planted in each model must come out with its line; the row says so. After the rows
of one family stands the exponent of cost against depth, fitted to what each row costs beyond the first, which has all that is done once.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
TOKENS = ("--input", "input_ids=int64[1,16]<1000", "--seq", "2048")
ROWS = (
    ("llama.py:llama_8_layers", 8, TOKENS),
    ("llama.py:llama_7b", 32, TOKENS),
    ("llama.py:llama_70b", 80, TOKENS),
    ("llama.py:llama_405b", 126, TOKENS),
    ("mixtral.py:Mixtral", 56, ("--input", "tokens=int64[1,16]<1000", "--seq", "2048")),
    ("deep.py:layers_100", 100, ("--input", "x=float32[4,4096]")),
    ("deep.py:layers_300", 300, ("--input", "x=float32[4,4096]")),
    ("deep.py:layers_1000", 1_000, ("--input", "x=float32[4,4096]")),
    ("deep.py:layers_3000", 3_000, ("--input", "x=float32[4,4096]")),
    ("deep.py:layers_10000", 10_000, ("--input", "x=float32[4,4096]")),
)


def main(words: list[str]) -> None:
    """Prints the table."""
    points: dict[str, list[tuple[int, float]]] = {}
    print(f"{'model':24} {'parameters':>18} {'layers':>7} {'CPU s':>7} {'peak MB':>8} {'svg kB':>7}  cause")
    for target, depth, options in ROWS:
        if words and not any(word in target for word in words):
            continue
        seconds, peak, report, drawn = _cost(target, options)
        found = next((entry for entry in report["findings"] if entry["code"] == "GF101"), None)
        cause = "MISSED" if found is None else next(f"{site['file']}:{site['line']}" for site in found["sites"] if site["role"] == "cause")
        elements = sum(row["elements"] for row in report["parameters"])
        print(
            f"{target:24} {elements:18,} {depth:7,} {seconds:7.1f} {peak:8.0f} {drawn / 1000:7.0f}  {cause} {report['outcome']}", flush=True
        )
        points.setdefault(target.split(":")[0], []).append((depth, seconds))
    for family, found_points in points.items():
        if len(found_points) > 2:
            first, cost = found_points[0]
            slope = _exponent([(depth - first, seconds - cost) for depth, seconds in found_points[1:]])
            print(f"{family}: import alone {_start(family):.1f} s; exponent of what comes beyond {first} layers {slope:.2f}")


def _cost(target: str, options: tuple[str, ...]) -> tuple[float, float, dict[str, object], int]:
    """(CPU seconds, MB, the report, bytes of the picture) of one audit."""
    with tempfile.TemporaryDirectory() as folder:
        report, picture = Path(folder, "report.json"), Path(folder, "focus.svg")
        words = [sys.executable, "-m", "gradflow", "audit", *options, "--timeout", "600", "--format", "json", "-o", str(report)]
        child = subprocess.Popen([*words, "--svg", str(picture), target], cwd=FOLDER, stderr=subprocess.DEVNULL)
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
        size = picture.stat().st_size if picture.exists() else 0
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, json.loads(report.read_text("utf-8")), size


def _start(family: str) -> float:
    """CPU seconds of the command line and of the import of torch and of the model's file."""
    child = subprocess.Popen([sys.executable, "-c", f"import gradflow.cli, gradflow.capture.launch.attribute, {family[:-3]}"], cwd=FOLDER)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime


def _exponent(points: list[tuple[int, float]]) -> float:
    """The slope of log(seconds) against log(depth), by least squares."""
    xs, ys = [math.log(depth) for depth, _ in points], [math.log(max(seconds, 0.01)) for _, seconds in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


if __name__ == "__main__":
    main(sys.argv[1:])
